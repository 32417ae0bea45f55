/**
 * One identity that the agent holds: a key pair, or a certificate with its key, and what it was added with.
 * A certificate's end is remembered when it is still to come; one that had ended before it was added stays until it is
 * removed (OpenSSH's `ssh-add -N` means that), but is never offered for a login: see `identity-choice.ts`.
 */
import type { KeyObject } from 'node:crypto';
import type { DestinationConstraint } from '#openssh/agent-destination.ts';
import type { AddRequest } from '#openssh/agent-request.ts';
import { type Certificate, INFINITE_VALIDITY } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import type { PrivateKeyFields, SecurityKey } from '#openssh/private-key-fields.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import type { Moment } from './moment.ts';

/** A FIDO key: the device signs, through a helper program. */
export interface SecurityKeySigner {
  readonly kind: 'security-key';
  readonly key: Omit<SecurityKey, 'comment'>;
  /** `internal`, or the canonical path of a middleware library. */
  readonly provider: string;
}
export interface SoftwareSigner {
  readonly kind: 'software';
  readonly privateKey: KeyObject;
}
export type Signer = SoftwareSigner | SecurityKeySigner;

declare const idBrand: unique symbol;
/** The blob of an identity as a string of bytes, for maps and comparisons. */
export type IdentityId = string & { readonly [idBrand]: true };

export interface Identity {
  readonly id: IdentityId;
  /** What is listed: the certificate, or the public key. */
  readonly blob: Uint8Array;
  readonly publicKey: PublicKey;
  readonly fingerprint: Fingerprint;
  readonly certificate?: Certificate;
  readonly signer: Signer;
  /** Bytes as they came; `displayText` of them is for people. */
  readonly comment: Uint8Array;
  readonly confirm: boolean;
  /** Empty: may be used everywhere. */
  readonly destinations: readonly DestinationConstraint[];
  /** On the monotonic clock. */
  readonly endsMonotonicMs?: number;
  /** On the wall clock: the end of the certificate. */
  readonly endsEpochMs?: number;
  /** The certificate had ended when it was added. */
  readonly wasExpired: boolean;
}

export function identityId(blob: Uint8Array): IdentityId {
  return Buffer.from(blob.buffer, blob.byteOffset, blob.length).toString('latin1') as IdentityId;
}

export interface IdentityDefaults {
  /** For keys that are added without a lifetime. */
  readonly lifetimeSeconds?: number | undefined;
}

export function identityFrom(
  request: Pick<AddRequest, 'fields' | 'comment' | 'constraints'>,
  now: Moment,
  defaults: IdentityDefaults = {},
): Identity {
  const { fields, comment, constraints } = request;
  const { certificate, publicKey } = fields;
  const keyBlob = encodePublicKey(publicKey);
  const blob = certificate?.blob ?? keyBlob;
  const end = certificate === undefined ? undefined : certificateEndMs(certificate);
  const wasExpired = end !== undefined && end <= now.epochMs;
  const lifetime = constraints.lifetimeSeconds ?? defaults.lifetimeSeconds;
  return {
    id: identityId(blob),
    blob,
    publicKey,
    fingerprint: fingerprintOf(keyBlob),
    comment,
    wasExpired,
    ...(certificate === undefined ? {} : { certificate }),
    signer: signerOf(fields, constraints.skProvider),
    confirm: constraints.confirm === true,
    destinations: constraints.destinations ?? [],
    ...(lifetime === undefined ? {} : { endsMonotonicMs: now.monotonicMs + lifetime * 1000 }),
    ...(end === undefined || wasExpired ? {} : { endsEpochMs: end }),
  };
}

/** Undefined for a certificate without end. */
function certificateEndMs(certificate: Certificate): number | undefined {
  if (certificate.validBefore === INFINITE_VALIDITY) return undefined;
  return Number(certificate.validBefore) * 1000;
}

function signerOf(fields: PrivateKeyFields, provider = 'internal'): Signer {
  if (fields.privateKey !== undefined) return { kind: 'software', privateKey: fields.privateKey };
  const { publicKey, flags, keyHandle, reserved } = fields;
  return { kind: 'security-key', key: { publicKey, flags, keyHandle, reserved }, provider };
}

/** Foreign bytes as text that is safe to show: invalid UTF-8 replaced, control and format characters gone, at most 256 characters. */
export function displayText(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 1024));
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').slice(0, 256);
}
