/**
 * Whether the CA's signed time (protocol/signed-time.ts) may be believed. It is judged without a clock: the nonce proves that it was made
 * after the question, and the statement key's certificate is held against the time told. Pure.
 */
import { Value } from 'typebox/value';
import { decodeBase64 } from '#openssh/base64.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { TIME_NAMESPACE, type TimeReply, TimeStatement } from '#protocol/signed-time.ts';
import { type StatementFault, findStatementFault } from './statement-check.ts';

export type TimeFault = StatementFault | 'payload-malformed' | 'nonce-differs'; // an older answer, or one to somebody else

export type TimeVerdict = { readonly fault: TimeFault } | { readonly fault?: undefined; readonly timeSeconds: number };

/** @param nonce that was asked with @param trustedCas fingerprints of the host CA keys that are trusted already */
export function judgeSignedTime(reply: TimeReply, nonce: string, trustedCas: ReadonlySet<Fingerprint>): TimeVerdict {
  const decoded = decodeReply(reply);
  if (decoded === undefined) return { fault: 'unsigned' };
  const statement = parseStatement(decoded.bytes);
  if (statement === undefined) return { fault: 'payload-malformed' };
  const fault = findStatementFault({ ...decoded, namespace: TIME_NAMESPACE }, trustedCas, BigInt(statement.time));
  if (fault !== undefined) return { fault };
  return statement.nonce === nonce ? { timeSeconds: statement.time } : { fault: 'nonce-differs' };
}

function decodeReply({ payload, signatures }: TimeReply) {
  try {
    return { bytes: decodeBase64(payload), signatures: signatures.map((signature) => decodeBase64(signature)) };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function parseStatement(bytes: Uint8Array): TimeStatement | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return Value.Check(TimeStatement, value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
