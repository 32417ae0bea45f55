/**
 * Which timestamp makes a certificate acceptable under an SSH template, whatever the device takes the offsets to mean.
 * Pure.
 *
 * Yubico's text says `validAfter >= now + notBefore`, its examples say `now - notBefore`; one example is even older than
 * both allow. A certificate that starts `notBefore` seconds after the timestamp, or later, and ends at most `notAfter`
 * seconds after it, satisfies every reading. A certificate may start a little before the true time (clocks differ), so the
 * timestamp is as old as the certificate's start demands, within `maxBackdateSeconds`; the holder of the timestamp key
 * compares it with its own clock.
 */
import { type CertificateFields, decodeToBeSigned } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import { HsmError } from './errors.ts';
import { sameBytes } from './scp03.ts';
import type { SshTemplate } from './ssh-template.ts';

/** What {@link timestampFor} goes by. */
export interface TemplateSituation {
  template: SshTemplate;
  caKeyId: number;
  caKey: PublicKey;
  nowSeconds: number;
  /** How far before the true time a certificate may start, together with the template's not-before offset. */
  maxBackdateSeconds: number;
}

/**
 * Returns the timestamp (seconds since 1970) to sign together with this to-be-signed certificate. Throws
 * {@link HsmError} `template-violation` when no timestamp makes it acceptable under every reading, or when the CA key in
 * it is not the key that would sign it, which the device may not check.
 */
export function timestampFor(tbs: Uint8Array, situation: TemplateSituation): number {
  const certificate = decoded(tbs);
  checkNames(certificate, situation);
  const { template, nowSeconds, maxBackdateSeconds } = situation;
  const latest = certificate.validAfter - BigInt(template.notBeforeOffsetSeconds);
  const timestamp = latest < BigInt(nowSeconds) ? Number(latest) : nowSeconds;
  if (nowSeconds - timestamp > maxBackdateSeconds) {
    throw violation(`it starts more than ${maxBackdateSeconds} s before the earliest start that the template allows`);
  }
  if (certificate.validBefore > BigInt(timestamp) + BigInt(template.notAfterOffsetSeconds)) {
    throw violation(`it ends more than ${template.notAfterOffsetSeconds} s after its timestamp`);
  }
  return timestamp;
}

function checkNames(certificate: CertificateFields, { template, caKey, caKeyId }: TemplateSituation): void {
  if (!sameBytes(encodePublicKey(certificate.signatureKey), encodePublicKey(caKey))) {
    throw violation('the CA key in it is not the key that is to sign it');
  }
  if (!template.caKeyIds.includes(caKeyId)) throw violation('the CA key is not among those of the template');
  if (certificate.principals.length === 0) throw violation('it has no principal, so no principal is forbidden');
  const forbidden = certificate.principals.find((principal) => template.forbiddenPrincipals.includes(principal));
  if (forbidden !== undefined) throw violation(`its principal "${forbidden}" is forbidden`);
}

/** Decodes a certificate that has no signature yet. */
function decoded(tbs: Uint8Array): CertificateFields {
  try {
    return decodeToBeSigned(tbs);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new HsmError('template-violation', 'under an SSH template the device signs nothing but certificates', {
      cause: error,
    });
  }
}

function violation(why: string): HsmError {
  return new HsmError('template-violation', `the certificate does not fit the device's SSH template: ${why}`);
}
