/**
 * The key that signs challenges: made in memory at start, replaced before its certificate ends, never stored. Its certificate is
 * made with the host CA key once an hour, so that an unauthenticated request never costs a signature of an HSM.
 * The certificate has *user* type, since `ssh-keygen -Y verify` accepts no other; it is of no use for a login: one principal that
 * no account has, no extensions, and `force-command=/bin/false`. (`init` refuses host CA and user CA being the same key.)
 */
import { type KeyObject, generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { type Certificate, assembleCertificate, encodeToBeSigned, textOption } from '#openssh/certificate.ts';
import { findCertificateFault } from '#openssh/certificate-check.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { type Signature, signWithKeyObject } from '#openssh/signature.ts';
import { CHALLENGE_MAX_LIFETIME_SECONDS, CHALLENGE_PRINCIPAL } from '#protocol/host-challenge.ts';
import type { Signer } from '../signer/signer.ts';

const LIFETIME_SECONDS = 3600n;
/** For clocks that run behind; a device with SSH templates signs nothing that starts much earlier. */
const BACKDATE_SECONDS = 60n;
/** A challenge made in the last moment must still verify when it comes back. */
const RENEWAL_MARGIN_SECONDS = BigInt(CHALLENGE_MAX_LIFETIME_SECONDS) + 60n;

const enforcedOptions: ReadonlySet<string> = new Set(['force-command']);

export interface ChallengeKey {
  readonly certificateBlob: Uint8Array;
  readonly validBefore: bigint;
  sign(data: Uint8Array): Signature;
}

/** What a short-lived key speaks for: its certificate has this one principal. */
export interface KeyRole {
  readonly keyId: string;
  readonly principal: string;
}
const challengeRole: KeyRole = { keyId: 'Countersign challenge key', principal: CHALLENGE_PRINCIPAL };

export async function createChallengeKey(hostCa: Signer, now: bigint, role = challengeRole): Promise<ChallengeKey> {
  const { privateKey } = await promisify(generateKeyPair)('ed25519');
  const validBefore = now + LIFETIME_SECONDS;
  const certificateBlob = await certify(privateKey, role, hostCa, { now, validBefore });
  return { certificateBlob, validBefore, sign: (data) => signWithKeyObject(privateKey, 'ssh-ed25519', data) };
}

async function certify(
  privateKey: KeyObject,
  { keyId, principal }: KeyRole,
  hostCa: Signer,
  { now, validBefore }: { readonly now: bigint; readonly validBefore: bigint },
): Promise<Uint8Array> {
  const toBeSigned = encodeToBeSigned({
    key: publicKeyFromObject(privateKey),
    type: 'user',
    serial: randomBytes(8).readBigUInt64BE() | 1n,
    keyId,
    principals: [principal],
    validAfter: now - BACKDATE_SECONDS,
    validBefore,
    criticalOptions: [textOption('force-command', '/bin/false')],
    extensions: [],
    nonce: randomBytes(32),
    signatureKey: hostCa.publicKey,
  });
  return assembleCertificate(toBeSigned, await hostCa.sign(toBeSigned, { priority: 'host' }));
}

/** Whether a certificate is that of a challenge key, of whichever process of this CA. */
export function isChallengeCertificate(
  certificate: Certificate,
  hostCas: ReadonlySet<Fingerprint>,
  now: bigint,
): boolean {
  const expected = { type: 'user', now, trustedCas: hostCas, principal: CHALLENGE_PRINCIPAL, enforcedOptions } as const;
  return findCertificateFault(certificate, expected) === undefined;
}

/** Gives out the current challenge key, and makes the next one in time. */
export class ChallengeKeyRing {
  readonly #hostCa: Signer;
  readonly #role: KeyRole;
  #current: Promise<ChallengeKey> | undefined;

  constructor(hostCa: Signer, role = challengeRole) {
    this.#hostCa = hostCa;
    this.#role = role;
  }

  /** A key whose certificate outlives every challenge made with it now. @throws SignerError */
  async current(now: bigint): Promise<ChallengeKey> {
    const known = this.#current;
    const key = await known?.catch(() => undefined);
    if (key !== undefined && isFresh(key, now)) return key;
    if (this.#current === known) this.#current = createChallengeKey(this.#hostCa, now, this.#role);
    return this.#current ?? createChallengeKey(this.#hostCa, now, this.#role);
  }
}

/** False near the end of its life, and when the clock was set back behind its start. */
function isFresh(key: ChallengeKey, now: bigint): boolean {
  return key.validBefore - now > RENEWAL_MARGIN_SECONDS && key.validBefore - LIFETIME_SECONDS <= now;
}
