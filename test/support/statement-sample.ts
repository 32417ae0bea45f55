/** What a CA for tests states (test/support/fake-ca.ts): the keys it has and a KRL, or whatever a test puts in their place. */
import { type KeyObject, hash } from 'node:crypto';
import { createKrl, encodeKrl } from '#openssh/krl.ts';
import { SerialSet } from '#openssh/serial-set.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';
import type { FakeCa, Statements } from './fake-ca.ts';
import { krlSignatures, listedKey, trustDocument, trustReply } from './statement-signer.ts';

export interface StatementOptions {
  /** Of the trust document; default: 1. */
  readonly number?: number;
  /** Besides the keys of the CA. */
  readonly otherHostCas?: readonly TrustedCaKey[];
  readonly otherUserCas?: readonly TrustedCaKey[];
  /** Of the KRL; default: 1. */
  readonly krlNumber?: bigint;
  /** Public key blobs that the KRL names. */
  readonly revoked?: readonly Uint8Array[];
  /** Serials of the user CA that it names. */
  readonly serials?: readonly bigint[];
  /** Bytes in place of a KRL. */
  readonly krl?: Uint8Array;
  /** In place of the host CA of this CA. */
  readonly signer?: KeyObject;
}

export function statementsOf(
  { hostCa, userCa }: Pick<FakeCa, 'hostCa' | 'userCa'>,
  options: StatementOptions = {},
): Statements {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const { number = 1, otherHostCas = [], otherUserCas = [], krlNumber = 1n, signer = hostCa } = options;
  const hostCas = [listedKey(hostCa), ...otherHostCas];
  const userCas = [listedKey(userCa), ...otherUserCas];
  const krl = options.krl ?? makeKrl(userCa, krlNumber, options);
  return {
    trust: trustReply([signer], trustDocument({ number, hostCas, userCas, krlNumber }, now), now),
    krl,
    krlSignatures: krlSignatures([signer], krl, now),
    krlNumber,
  };
}

function makeKrl(userCa: KeyObject, number: bigint, { revoked = [], serials = [] }: StatementOptions): Uint8Array {
  const ca = encodePublicKey(publicKeyFromObject(userCa));
  const sha256Fingerprints = revoked.map((blob) => hash('sha256', blob, 'buffer'));
  const certificates = [{ ca, serials: SerialSet.of(serials) }];
  return encodeKrl(createKrl({ number, generatedDate: 0n, certificates, sha256Fingerprints }));
}
