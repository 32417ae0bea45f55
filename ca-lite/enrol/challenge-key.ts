/**
 * The key that signs challenges: made in memory at start, replaced before its certificate ends, never stored. Its certificate is
 * made with the host CA key once an hour, so that an unauthenticated request never costs a signature of an HSM.
 * The certificate has *user* type, since `ssh-keygen -Y verify` accepts no other; it is of no use for a login: one principal that
 * no account has, no extensions, and `force-command=/bin/false`. (`init` refuses host CA and user CA being the same key.)
 */
import { type KeyObject, generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { assembleCertificate, encodeToBeSigned, textOption } from '#openssh/certificate.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { type Signature, signWithKeyObject } from '#openssh/signature.ts';
import { equalBytes } from '#openssh/wire.ts';
import { CHALLENGE_MAX_LIFETIME_SECONDS, CHALLENGE_PRINCIPAL } from '#protocol/host-challenge.ts';
import type { Signer } from '../signer/signer.ts';

const LIFETIME_SECONDS = 3600n;
/** A challenge made in the last moment must still verify when it comes back. */
const RENEWAL_MARGIN_SECONDS = BigInt(CHALLENGE_MAX_LIFETIME_SECONDS) + 60n;

export interface ChallengeKey {
  readonly certificateBlob: Uint8Array;
  readonly validBefore: bigint;
  sign(data: Uint8Array): Signature;
}

export async function createChallengeKey(hostCa: Signer, now: bigint): Promise<ChallengeKey> {
  const { privateKey } = await promisify(generateKeyPair)('ed25519');
  const validBefore = now + LIFETIME_SECONDS;
  const certificateBlob = await certify(privateKey, hostCa, now, validBefore);
  return { certificateBlob, validBefore, sign: (data) => signWithKeyObject(privateKey, 'ssh-ed25519', data) };
}

async function certify(privateKey: KeyObject, hostCa: Signer, now: bigint, validBefore: bigint): Promise<Uint8Array> {
  const toBeSigned = encodeToBeSigned({
    key: publicKeyFromObject(privateKey),
    type: 'user',
    serial: randomBytes(8).readBigUInt64BE() | 1n,
    keyId: 'Countersign challenge key',
    principals: [CHALLENGE_PRINCIPAL],
    validAfter: now - 300n,
    validBefore,
    criticalOptions: [textOption('force-command', '/bin/false')],
    extensions: [],
    nonce: randomBytes(32),
    signatureKey: hostCa.publicKey,
  });
  return assembleCertificate(toBeSigned, await hostCa.sign(toBeSigned, { priority: 'host' }));
}

/** The current challenge key and the one before it, whose challenges may still be on their way back. */
export class ChallengeKeyRing {
  readonly #hostCa: Signer;
  #current: Promise<ChallengeKey> | undefined;
  #previous: ChallengeKey | undefined;

  constructor(hostCa: Signer) {
    this.#hostCa = hostCa;
  }

  /** A key whose certificate outlives every challenge made with it now. */
  async current(now: bigint): Promise<ChallengeKey> {
    const key = await (this.#current ??= createChallengeKey(this.#hostCa, now));
    if (key.validBefore - now > RENEWAL_MARGIN_SECONDS && key.validBefore - LIFETIME_SECONDS <= now) return key;
    this.#previous = key;
    this.#current = undefined;
    return await this.current(now);
  }

  async isOwn(certificateBlob: Uint8Array): Promise<boolean> {
    const keys = [await this.#current, this.#previous];
    return keys.some((key) => key !== undefined && equalBytes(key.certificateBlob, certificateBlob));
  }
}
