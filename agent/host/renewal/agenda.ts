/**
 * What is to be done for one certificate now, and when to look again. Pure: everything comes from the certificate files, from what is
 * remembered, and from the clock.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { renewalDueAt, spreadOver } from '../../schedule/due.ts';
import type { KeyMemory } from './renewal-record.ts';
import { MAX_PAUSE_SECONDS } from './setback.ts';

/** The CA's inventory is kept true some times a day. */
export const REPORT_EVERY_SECONDS = 6 * 3600;
/** A rotation of the CA key tells a whole fleet at once to renew. */
const RENEW_NOW_SPREAD_SECONDS = 900n;

export interface Agenda {
  /** Ask for a successor. */
  readonly renew: boolean;
  /** The newest certificate is not the one that is installed: an earlier run did not come to its end. */
  readonly install: boolean;
  /** Tell the CA what is in use. */
  readonly report: boolean;
  /** Epoch seconds, after `now`: nothing will be to do before. */
  readonly nextAt: bigint;
}

export interface Sighting {
  /** The newest certificate that is durably here. */
  readonly current: Certificate;
  /** Whether that is the one in the file that sshd reads. */
  readonly isInstalled: boolean;
  readonly memory: KeyMemory;
  /** What there is to report besides the certificate, in a form that changes with it. */
  readonly claims?: string;
  /** Default: {@link REPORT_EVERY_SECONDS}. */
  readonly reportEverySeconds?: number;
}

/** @param now epoch seconds @param force renew whatever the age and the pause */
export function planWork(sighting: Sighting, now: bigint, force: boolean): Agenda {
  const { current, isInstalled, memory } = sighting;
  const pausedUntil = force ? 0n : endOfPause(memory, now);
  const paused = pausedUntil > now;
  const dueAt = dueTime(current, memory);
  const reportAt = reportTime(sighting, now);
  const agenda = {
    renew: force || (!paused && dueAt <= now),
    install: !isInstalled && !paused,
    report: !paused && reportAt <= now,
  };
  const next = !isInstalled || dueAt < reportAt ? (isInstalled ? dueAt : now) : reportAt;
  const nextAt = next > pausedUntil ? next : pausedUntil;
  return { ...agenda, nextAt: nextAt > now ? nextAt : now + 1n };
}

export function isPaused(memory: KeyMemory, now: bigint): boolean {
  return endOfPause(memory, now) > now;
}

/** A pause that lasts longer than any that we make was noted while the clock was wrong, and does not count. */
function endOfPause({ pausedUntil }: KeyMemory, now: bigint): bigint {
  const end = BigInt(pausedUntil);
  return end - now > BigInt(MAX_PAUSE_SECONDS) ? 0n : end;
}

function dueTime(current: Certificate, { renewNow, reported }: KeyMemory): bigint {
  const byAge = renewalDueAt(current);
  if (!renewNow || reported === null || reported.serial !== String(current.serial)) return byAge;
  const asked = spreadOver(BigInt(reported.at), RENEW_NOW_SPREAD_SECONDS, current.blob);
  return asked < byAge ? asked : byAge;
}

function reportTime(sighting: Sighting, now: bigint): bigint {
  const { current, claims, reportEverySeconds = REPORT_EVERY_SECONDS } = sighting;
  const { reported } = sighting.memory;
  if (reported === null || reported.serial !== String(current.serial) || reported.claims !== claims) return 0n;
  const at = BigInt(reported.at);
  if (at > now) return 0n; // noted while the clock was ahead
  return at + BigInt(reportEverySeconds);
}
