/**
 * Whether a KRL of the CA (`GET /ssh/krl`, `GET /ssh/krl.sig`) is taken over: signed, readable to its last byte, and no older than the one
 * that is held. sshd refuses every key while its KRL is unreadable, so nothing reaches it that was not read here. Pure.
 */
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type Krl, decodeKrl } from '#openssh/krl.ts';
import { dearmorSshsigs } from '#openssh/sshsig.ts';
import { KRL_NAMESPACE } from '#protocol/trust.ts';
import { type StatementFault, findStatementFault } from './statement-check.ts';

export type KrlFault = StatementFault | 'malformed' | 'older';
export type KrlVerdict = { readonly fault: KrlFault } | { readonly fault?: undefined; readonly krl: Krl };

export interface KrlStatement {
  readonly bytes: Uint8Array;
  /** Armored SSHSIGs, one after the other. */
  readonly armored: string;
}

/** @param heldNumber of the last one that was taken; undefined before the first @param now epoch seconds */
export function judgeKrl(
  { bytes, armored }: KrlStatement,
  heldNumber: bigint | undefined,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): KrlVerdict {
  const signatures = orUndefined(() => dearmorSshsigs(armored));
  if (signatures === undefined) return { fault: 'unsigned' };
  const fault = findStatementFault({ bytes, signatures, namespace: KRL_NAMESPACE }, trustedCas, now);
  if (fault !== undefined) return { fault };
  const krl = orUndefined(() => decodeKrl(bytes));
  if (krl === undefined) return { fault: 'malformed' };
  return heldNumber !== undefined && krl.number < heldNumber ? { fault: 'older' } : { krl };
}

function orUndefined<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
