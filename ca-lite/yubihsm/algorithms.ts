/**
 * The algorithm numbers of the YubiHSM (`lib/yubihsm.h`, `yh_algorithm`), and what a CA needs to know of those that it
 * signs with.
 */

/** Number by name; the names are those of `yubihsm-shell`. */
export const algorithms = {
  'rsa-pkcs1-sha1': 1,
  'rsa-pkcs1-sha256': 2,
  'rsa-pkcs1-sha384': 3,
  'rsa-pkcs1-sha512': 4,
  'rsa-pss-sha1': 5,
  'rsa-pss-sha256': 6,
  'rsa-pss-sha384': 7,
  'rsa-pss-sha512': 8,
  rsa2048: 9,
  rsa3072: 10,
  rsa4096: 11,
  ecp256: 12,
  ecp384: 13,
  ecp521: 14,
  eck256: 15,
  ecbp256: 16,
  ecbp384: 17,
  ecbp512: 18,
  'hmac-sha1': 19,
  'hmac-sha256': 20,
  'hmac-sha384': 21,
  'hmac-sha512': 22,
  'ecdsa-sha1': 23,
  ecdh: 24,
  'rsa-oaep-sha1': 25,
  'rsa-oaep-sha256': 26,
  'rsa-oaep-sha384': 27,
  'rsa-oaep-sha512': 28,
  'aes128-ccm-wrap': 29,
  'opaque-data': 30,
  'opaque-x509-certificate': 31,
  'mgf1-sha1': 32,
  'mgf1-sha256': 33,
  'mgf1-sha384': 34,
  'mgf1-sha512': 35,
  'template-ssh': 36,
  'aes128-yubico-otp': 37,
  'aes128-yubico-authentication': 38,
  'aes192-yubico-otp': 39,
  'aes256-yubico-otp': 40,
  'aes192-ccm-wrap': 41,
  'aes256-ccm-wrap': 42,
  'ecdsa-sha256': 43,
  'ecdsa-sha384': 44,
  'ecdsa-sha512': 45,
  ed25519: 46,
  ecp224: 47,
  'rsa-pkcs1-decrypt': 48,
  'ecp256-yubico-authentication': 49,
  aes128: 50,
  aes192: 51,
  aes256: 52,
  'aes-ecb': 53,
  'aes-cbc': 54,
  'aes-kwp': 55,
} as const;

/** A name of {@link algorithms}. */
export type AlgorithmName = keyof typeof algorithms;

const names = new Map<number, AlgorithmName>(
  Object.entries(algorithms).map(([name, number]) => [number, name as AlgorithmName]),
);

/** The name of an algorithm number; undefined for one that is newer than this table. */
export function algorithmName(number: number): AlgorithmName | undefined {
  return names.get(number);
}

/** A kind of CA key that the device can hold and SSH can use. */
export type KeyKind = keyof typeof keyKinds;

/**
 * Public key length on the wire in bytes, the capability that signs with it, the algorithm of SSH certificates, and the
 * name that node:crypto has for the curve.
 */
export const keyKinds = {
  rsa2048: { publicLength: 256, capability: 'sign-pkcs', family: 'rsa' },
  rsa3072: { publicLength: 384, capability: 'sign-pkcs', family: 'rsa' },
  rsa4096: { publicLength: 512, capability: 'sign-pkcs', family: 'rsa' },
  ecp256: { publicLength: 64, capability: 'sign-ecdsa', family: 'ecdsa', curve: 'P-256', hash: 'sha256' },
  ecp384: { publicLength: 96, capability: 'sign-ecdsa', family: 'ecdsa', curve: 'P-384', hash: 'sha384' },
  ecp521: { publicLength: 132, capability: 'sign-ecdsa', family: 'ecdsa', curve: 'P-521', hash: 'sha512' },
  ed25519: { publicLength: 32, capability: 'sign-eddsa', family: 'ed25519' },
} as const;

/** Says whether a name is that of a key kind. */
export function isKeyKind(name: string | undefined): name is KeyKind {
  return name !== undefined && Object.hasOwn(keyKinds, name);
}
