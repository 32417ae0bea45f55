/**
 * How what an HSM logged stands in the CA's own audit log. A batch that was read from a device is one `hsm-log` entry; in
 * front of it stands one `hsm-signature` entry for each signature in it that belongs to a certificate, under its serial.
 * `key-certify` entries are for certificates that the CA makes for keys of its own, which are on no other record.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';

export const DEVICE_LOG = 'hsm-log';
export const DEVICE_SIGNATURE = 'hsm-signature';
export const KEY_CERTIFY = 'key-certify';
/** An administrator has looked into what an entry tells. */
export const ACKNOWLEDGE = 'audit-acknowledge';

/** The details of an `hsm-log` entry, as far as they are read again. */
const Batch = Type.Object({
  /** Each entry of the device: the 16 bytes that its digest covers and the digest, in base64. */
  entries: Type.Array(Type.String()),
  linked: Type.Boolean(),
  /** Numbers of the keys whose signatures must all belong to certificates. */
  watched: Type.Optional(Type.Array(Type.Integer())),
  position: Type.Optional(Type.Object({ number: Type.Integer(), digest: Type.String() })),
});
export type DeviceLogDetails = Static<typeof Batch>;

/** The details of an `hsm-signature` entry. */
const Signature = Type.Object({
  entry: Type.Integer(),
  by: Type.Union([Type.Literal('session'), Type.Literal('record')]),
});
export type DeviceSignatureDetails = Static<typeof Signature>;

const KeyCertify = Type.Object({ tbsLength: Type.Integer(), ca: Type.String() });
const Acknowledge = Type.Object({ entry: Type.Integer() });

/** Undefined for details that are not of this kind. */
export const readDeviceLog = reading(Batch);
export const readDeviceSignature = reading(Signature);
export const readKeyCertify = reading(KeyCertify);
export const readAcknowledge = reading(Acknowledge);

function reading<S extends TSchema>(schema: S): (details: string) => Static<S> | undefined {
  return (details) => {
    const parsed: unknown = JSON.parse(details);
    return Value.Check(schema, parsed) ? parsed : undefined;
  };
}

/** The name of a device in the audit log. */
export function deviceName(serial: number): string {
  return `yubihsm ${serial}`;
}
