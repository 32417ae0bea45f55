/**
 * A signer that writes certificates for keys of the CA's own, such as those of challenges, into the audit log before it signs them: they are on
 * no record of certificates. With that, every signature by a CA key is for something that the CA knows of.
 */
import { decodeToBeSigned } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { CHALLENGE_PRINCIPAL } from '#protocol/host-challenge.ts';
import { STATEMENT_PRINCIPAL } from '#protocol/trust.ts';
import { KEY_CERTIFY } from '../audit/device-log-entry.ts';
import type { AuditStatement } from '../audit/entry.ts';
import type { Signer } from '../signer/signer.ts';
import type { Store } from '../store/store.ts';

const OWN_PRINCIPALS: readonly string[] = [CHALLENGE_PRINCIPAL, STATEMENT_PRINCIPAL];

/** Disposing disposes of `signer`. @param now epoch seconds */
export function recordedSigner(signer: Signer, store: Pick<Store, 'appendAudit'>, now: () => bigint): Signer {
  return {
    publicKey: signer.publicKey,
    algorithm: signer.algorithm,
    async sign(data, options) {
      const statement = statementFor(data, now());
      if (statement !== undefined) await store.appendAudit([statement]);
      return signer.sign(data, options);
    },
    [Symbol.asyncDispose]: async () => signer[Symbol.asyncDispose](),
  };
}

function statementFor(toBeSigned: Uint8Array, time: bigint): AuditStatement | undefined {
  // A principal stands in the bytes as it is: of all other certificates nothing more is read.
  const bytes = Buffer.from(toBeSigned.buffer, toBeSigned.byteOffset, toBeSigned.byteLength);
  if (!OWN_PRINCIPALS.some((principal) => bytes.includes(principal))) return undefined;
  const { type, serial, keyId, principals, signatureKey } = decodeToBeSigned(toBeSigned);
  if (!principals.some((principal) => OWN_PRINCIPALS.includes(principal))) return undefined;
  const subject = { type, serial, name: keyId, actor: 'the CA itself' };
  const details = { tbsLength: toBeSigned.length, ca: fingerprintOf(encodePublicKey(signatureKey)) };
  return { time, action: KEY_CERTIFY, outcome: 'allowed', code: 'ok', subject, details };
}
