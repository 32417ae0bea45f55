/** How it goes on with one key of this host, by what its renewals remember. Pure. */
import type { Certificate } from '#openssh/certificate.ts';
import { renewalDueAt } from '../../schedule/due.ts';
import { isPaused } from './agenda.ts';
import type { KeyMemory } from './renewal-record.ts';

/** Epoch seconds throughout. */
export interface Outlook {
  /** When the certificate is to be renewed; undefined without one. */
  readonly renewalDueAt: bigint | undefined;
  /** When a certificate was last obtained by renewing. */
  readonly renewedAt: bigint | undefined;
  /** When the CA last heard that the certificate is in use. */
  readonly reportedAt: bigint | undefined;
  readonly lastFailure: KeyMemory['lastFailure'];
  /** The last failure stands: no attempt succeeded since. */
  readonly isFailing: boolean;
  /** No attempt before; undefined when nothing is waited for. */
  readonly pausedUntil: bigint | undefined;
  /** Nothing gets better until a person acts. */
  readonly needsPerson: boolean;
}

/** @param now epoch seconds */
export function outlookOf(certificate: Certificate | undefined, memory: KeyMemory, now: bigint): Outlook {
  const { renewedAt, reported, lastFailure, refusal, pausedUntil } = memory;
  const isFailing = refusal !== null;
  return {
    renewalDueAt: certificate === undefined ? undefined : renewalDueAt(certificate),
    renewedAt: renewedAt === undefined ? undefined : BigInt(renewedAt),
    reportedAt: reported === null ? undefined : BigInt(reported.at),
    lastFailure,
    isFailing,
    pausedUntil: isPaused(memory, now) ? BigInt(pausedUntil) : undefined,
    needsPerson: isFailing && lastFailure?.needsPerson === true,
  };
}
