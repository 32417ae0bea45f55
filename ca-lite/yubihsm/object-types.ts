/** The object types of the YubiHSM (`lib/yubihsm.h`, `yh_object_type`). */

/** Number by name; the names are those of `yubihsm-shell`. */
export const objectTypes = {
  opaque: 1,
  'authentication-key': 2,
  'asymmetric-key': 3,
  'wrap-key': 4,
  'hmac-key': 5,
  template: 6,
  'otp-aead-key': 7,
  'symmetric-key': 8,
  'public-wrap-key': 9,
} as const;

/** A name of {@link objectTypes}. */
export type ObjectType = keyof typeof objectTypes;

const names = new Map<number, ObjectType>(
  Object.entries(objectTypes).map(([name, number]) => [number, name as ObjectType]),
);

/** The name of an object type; undefined for one that is newer than this table. */
export function objectTypeName(number: number): ObjectType | undefined {
  return names.get(number);
}
