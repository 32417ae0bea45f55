/** Requests to a store, complete and valid, with the fields that a test cares for changed. */
import { hash } from 'node:crypto';
import type { AuditNote } from '#ca-lite/audit/entry.ts';
import type { HostBinding, HostTokenRequest, IssuanceIntent, IssuanceResult } from '#ca-lite/store/decisions.ts';

export const now = 1_800_000_000n;

export function note(action: string, subject: AuditNote['subject'] = {}): AuditNote {
  return { time: now, action, subject: { requester: '192.0.2.7', ...subject }, details: { from: 'a test' } };
}

/** A fingerprint that is the same for the same label. */
export function fingerprint(label: string): string {
  return `SHA256:${hash('sha256', label, 'base64').slice(0, 43)}`;
}

/** The bytes to sign of the certificate with this serial. */
export function signedBytes(serial: bigint): Uint8Array {
  return Buffer.from(`to be signed: ${serial}`.padEnd(400, '.'));
}

export function certificate(serial: bigint): Uint8Array {
  return Buffer.concat([signedBytes(serial), Buffer.from(`signature of ${serial}`)]);
}

export function intent(serial: bigint, changes: Partial<IssuanceIntent> = {}): IssuanceIntent {
  const name = `web${serial}.example.com`;
  const keyFingerprint = fingerprint(name);
  return {
    serial,
    type: 'host',
    signedBytes: signedBytes(serial),
    keyFingerprint,
    keyId: name,
    principals: [name],
    validAfter: now,
    validBefore: now + 86_400n,
    lineage: null,
    predecessor: null,
    provisioner: 'hosts',
    requester: '192.0.2.7',
    now,
    token: null,
    host: null,
    audit: note('certificate-intend', { serial, name, keyFingerprint, type: 'host' }),
    ...changes,
  };
}

export function result(serial: bigint, changes: Partial<IssuanceResult> = {}): IssuanceResult {
  const audit = note('certificate-issue', { serial });
  return { serial, certificate: certificate(serial), now: now + 1n, audit, ...changes };
}

export function token(id: string, recorded = false, expiresAt = now + 300n) {
  return { id, expiresAt, recorded };
}

/** The first enrolment of `name` with the key `key` at `address`. */
export function binding(name: string, key = name, address = `10.0.0.${name.length}`): HostBinding {
  const keyFingerprint = fingerprint(key);
  return { enrolment: `${name}/${key}`, names: [name], addresses: [address], keyFingerprint, vouchedBy: null };
}

/** The intent of a first enrolment. */
export function enrolment(serial: bigint, host: HostBinding, changes: Partial<IssuanceIntent> = {}): IssuanceIntent {
  const { keyFingerprint, names } = host;
  return intent(serial, { host, keyFingerprint, keyId: names[0] ?? '', principals: names, ...changes });
}

export function hostToken(label: string, host: HostBinding): HostTokenRequest {
  const expiresAt = now + 300n;
  const [nonce, token] = [`nonce ${label}`, `token ${label}`].map((id) => ({ id, expiresAt }));
  if (nonce === undefined || token === undefined) throw new Error('unreachable');
  return { nonce, token, host, audit: note('host-token', { name: host.names[0] ?? null }) };
}
