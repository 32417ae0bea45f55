/** What the agent thinks of the clock of this machine, for people and for programs. */
import { describeSeconds } from '../clock/describe.ts';
import type { Doubt, Judgement } from '../clock/judgement.ts';

const doubts: Readonly<Record<Doubt, string>> = {
  'before-release': 'it is before the release of this program',
  'before-last-seen': 'it is before a moment that the CA has seen',
  'after-root': 'it is after the end of the root certificate of the CA',
  jumped: 'it was set, or the machine was carried on from a snapshot',
};

/** A sentence without a full stop. */
export function describeJudgement({ kind, aheadSeconds, doubt = 'jumped' }: Judgement): string {
  if (kind === 'system') return 'the clock of this machine is believed';
  if (kind === 'doubtful')
    return `the clock of this machine cannot be believed: ${doubts[doubt]}. The CA has to be asked for the time`;
  const off = `${describeSeconds(Math.abs(aheadSeconds))} ${aheadSeconds > 0 ? 'behind' : 'ahead'}`;
  return `the clock of this machine is ${off}: the signed time of the CA is used in its place, and the clock is left alone`;
}

export function judgementAsJson({ nowMs, kind, aheadSeconds, doubt }: Judgement): object {
  return { judgement: kind, doubt: doubt ?? null, aheadSeconds, now: new Date(nowMs).toISOString() };
}
