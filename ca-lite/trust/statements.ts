/**
 * What the CA says publicly, signed: the trust document, the KRL, the time (protocol/trust.ts). Each statement carries a signature by a
 * short-lived key of each host CA key that is held, so that who trusts an older or the next one can verify it as well.
 */
import { hash } from 'node:crypto';
import { encodeBase64 } from '#openssh/base64.ts';
import { encodeSshsig, encodeSshsigOfDigest } from '#openssh/sshsig.ts';
import { STATEMENT_PRINCIPAL } from '#protocol/trust.ts';
import { ChallengeKeyRing, type KeyRole } from '../enrol/challenge-key.ts';
import type { Signer } from '../signer/signer.ts';

const role: KeyRole = { keyId: 'Countersign statement key', principal: STATEMENT_PRINCIPAL };

export class Statements {
  #rings: ReadonlyMap<Signer, ChallengeKeyRing> = new Map();

  /** @param hostCas signers of the host CA keys held, the current one first */
  constructor(hostCas: readonly Signer[] = []) {
    this.use(hostCas);
  }

  /** From now on with these; what is under way ends with those it began with. */
  use(hostCas: readonly Signer[]): void {
    this.#rings = new Map(
      hostCas.map((signer) => [signer, this.#rings.get(signer) ?? new ChallengeKeyRing(signer, role)]),
    );
  }

  /** SSHSIG blobs over these bytes, one for each host CA key. @throws SignerError */
  async sign(bytes: Uint8Array, namespace: string, now: bigint): Promise<Uint8Array[]> {
    return this.signDigest(hash('sha512', bytes, 'buffer'), namespace, now);
  }

  /** @param sha512 of what is said */
  async signDigest(sha512: Uint8Array, namespace: string, now: bigint): Promise<Uint8Array[]> {
    const message = encodeSshsigOfDigest(sha512, namespace);
    const keys = await Promise.all([...this.#rings.values()].map(async (ring) => ring.current(now)));
    return keys.map((key) => encodeSshsig({ keyBlob: key.certificateBlob, namespace, signature: key.sign(message) }));
  }

  /** A JSON statement as the API answers it: the exact bytes, and the signatures over them. */
  async signJson(
    statement: object,
    namespace: string,
    now: bigint,
  ): Promise<{ payload: string; signatures: string[] }> {
    const bytes = new TextEncoder().encode(JSON.stringify(statement));
    const signatures = await this.sign(bytes, namespace, now);
    return { payload: encodeBase64(bytes), signatures: signatures.map((signature) => encodeBase64(signature)) };
  }
}
