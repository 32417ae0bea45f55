/** The serial in a certificate that has no signature yet: what a signature is noted under. Pure. */
import { decodeToBeSigned } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';

/** The serial; undefined for bytes that are no certificate, such as the proof at the end of a set-up. */
export function serialIn(tbs: Uint8Array): bigint | undefined {
  try {
    return decodeToBeSigned(tbs).serial;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** A command that signs for the certificate in these bytes, if they are one. */
export function signingFor<C extends object>(command: C, tbs: Uint8Array): C & { serial?: bigint } {
  const serial = serialIn(tbs);
  return serial === undefined ? command : { ...command, serial };
}
