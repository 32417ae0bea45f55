/** `countersign host run`: the daemon, and its log: one line for each thing that happened, on standard output. */
import { type DaemonEvent, requireSchedule, runDaemon } from '../host/renewal/daemon.ts';
import { runHostPass } from '../host/host-pass.ts';
import type { HostPolicy } from '../host/host-policy.ts';
import type { KeyOutcome, PassOutcome } from '../host/renewal/renewal-pass.ts';
import type { Notice } from '#protocol/service-notice.ts';
import { answerWatchdog, openServiceManager } from '../host/service-notice.ts';
import { openClock } from '../clock/clock-record.ts';
import type { Judgement } from '../clock/judgement.ts';
import type { Failure } from '../failure.ts';
import { requireAuthority } from '../state/authority.ts';
import { formatUtc } from './certificate-text.ts';
import { followedLines, needsLook } from './following-text.ts';
import { describeJudgement } from './clock-text.ts';
import type { RunOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';

/** Until SIGTERM, SIGINT or SIGHUP. @throws StateError, RenewalError when it cannot start */
export async function runHostDaemon(options: RunOptions, policy: HostPolicy): Promise<void> {
  const places = placesOf(options);
  const log = options.json === true ? writeJson : writeText;
  const { jitterSeconds, reportEverySeconds, followEverySeconds } = policy;
  const schedule = options.schedule ?? policy.schedule;
  requireSchedule(schedule);
  const clock = await openClock(places.stateDirectory, await requireAuthority(places.stateDirectory));
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  const note = (message: string) => log({ level: 'info', event: 'note', message });
  const progress = { run: async <T>(_: string, work: () => Promise<T>) => work(), note };
  const manager = openServiceManager();
  const gettingOn = watchProgress();
  using _watchdog = answerWatchdog(manager, gettingOn.isWell);
  signal.addEventListener('abort', () => manager?.notify(endingNotice), { once: true });
  const pass = async (impatient: boolean) => {
    using _running = gettingOn.begin();
    await using _change = await beginChange(places, progress);
    const onWait = (seconds: number) => note(`the CA is busy and asked to wait ${seconds} s`);
    const authority = await requireAuthority(places.stateDirectory);
    return await runHostPass(places, authority, {
      force: false,
      clock,
      impatient,
      followNow: impatient,
      reportEverySeconds,
      followEverySeconds,
      signal,
      onWait,
    });
  };
  let saidOfClock = 'system';
  const tell = (event: DaemonEvent) => {
    if (event.event === 'passed' && event.outcome.clock.kind !== saidOfClock) {
      saidOfClock = event.outcome.clock.kind;
      log(lineOfClock(event.outcome.clock));
    }
    for (const line of linesOf(event)) log(line);
    const notice = noticeOf(event);
    if (notice !== undefined) manager?.notify(notice);
  };
  await runDaemon({ schedule, jitterSeconds, pass, clock, tell, signal });
}

/** Every wait of a pass has a bound, and together they are shorter: a pass that lasts longer hangs, and the watchdog is to see it. */
const LONGEST_PASS_MS = 30 * 60_000;
/** An installation under way is put back, which reloads sshd and looks at it again. */
const ENDING_SECONDS = 120;
const endingNotice: Notice = { stopping: true, status: 'stopping', extendSeconds: ENDING_SECONDS };

function watchProgress() {
  let since: number | undefined;
  return {
    isWell: () => since === undefined || performance.now() - since < LONGEST_PASS_MS,
    begin: (): Disposable => {
      since = performance.now();
      return { [Symbol.dispose]: () => (since = undefined) };
    },
  };
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly event: string;
  readonly message: string;
  readonly [fact: string]: unknown;
}

export function linesOf(event: DaemonEvent): LogLine[] {
  switch (event.event) {
    case 'started':
      return [{ level: 'info', event: 'started', message: `looking after the host certificates: ${event.schedule}` }];
    case 'woken':
      return [{ level: 'info', event: 'woken', message: event.reason }];
    case 'passed':
      return [...linesOfFollowing(event.outcome), ...event.outcome.keys.flatMap(linesOfKey)];
    case 'pass-failed':
      return [lineOfFailure(event.failure, event.wakeAt)];
    case 'stopped':
      return [{ level: 'info', event: 'stopped', message: 'stopped' }];
  }
}

/** When what is thought of the clock changed. */
function lineOfClock(judgement: Judgement): LogLine {
  const { kind, aheadSeconds, doubt } = judgement;
  const message = describeJudgement(judgement);
  if (kind === 'system') return { level: 'info', event: 'clock-right', message };
  return { level: 'warn', event: 'clock-off', message, seconds: aheadSeconds, doubt: doubt ?? null };
}

function linesOfFollowing({ following }: PassOutcome): LogLine[] {
  if (following === undefined) return [];
  const { failure, nextAt } = following;
  const done = followedLines(following).map((line) => ({ level: 'info' as const, ...line }));
  if (failure === undefined) return done;
  const wakeAt = new Date(Number(nextAt) * 1000);
  const level = needsLook(failure) ? 'error' : 'warn';
  return [...done, { ...lineOfFailure(failure, wakeAt), level, event: 'not-followed' }];
}

function linesOfKey({
  path,
  certificate,
  did,
  changedNames,
  reported,
  failure,
  needsPerson,
  nextAt,
}: KeyOutcome): LogLine[] {
  const lines: LogLine[] = [];
  if (did !== 'nothing' && certificate !== undefined) {
    const facts = { path, serial: String(certificate.serial), until: formatUtc(certificate.validBefore), changedNames };
    lines.push({ level: 'info', event: did, message: `${path} has a new certificate until ${facts.until}`, ...facts });
  }
  if (reported && certificate !== undefined)
    lines.push({
      level: 'info',
      event: 'reported',
      message: `${path} was reported in use`,
      path,
      serial: String(certificate.serial),
    });
  if (failure !== undefined) {
    const wakeAt = new Date(Number(nextAt) * 1000);
    lines.push({ ...lineOfFailure(failure, wakeAt), level: needsPerson ? 'error' : 'warn', path, needsPerson });
  }
  return lines;
}

function lineOfFailure({ code, message, advice }: Failure, wakeAt: Date): LogLine {
  const nextAt = formatUtc(BigInt(Math.floor(wakeAt.getTime() / 1000)));
  return { level: 'warn', event: 'failed', message, code, ...(advice === undefined ? {} : { advice }), nextAt };
}

/** What the service manager is told; undefined: nothing new. */
export function noticeOf(event: DaemonEvent): Notice | undefined {
  if (event.event === 'started') return { ready: true, status: 'started' };
  if (event.event === 'pass-failed') return { status: event.failure.message };
  return event.event === 'passed' ? { status: statusOf(event.outcome) } : undefined;
}

/** One line: the certificate that ends first, or what is wrong. */
function statusOf({ keys }: PassOutcome): string {
  const failed = keys.find(({ failure }) => failure !== undefined);
  if (failed?.failure !== undefined) return failed.failure.message;
  const ends = keys.flatMap(({ certificate }) => (certificate === undefined ? [] : [certificate.validBefore]));
  const first = ends.toSorted((a, b) => (a < b ? -1 : 1))[0];
  return first === undefined
    ? 'no certificate'
    : `${ends.length} certificate(s), the first one until ${formatUtc(first)}`;
}

function writeJson(line: LogLine): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
}

function writeText({ level, message, code, advice, nextAt }: LogLine): void {
  const facts = [
    typeof code === 'string' ? ` [${code}]` : '',
    typeof advice === 'string' ? ` ${advice.replaceAll('\n', ' ')}` : '',
    typeof nextAt === 'string' ? ` Next attempt: ${nextAt}` : '',
  ];
  process.stdout.write(`${level}: ${message}${facts.join('')}\n`);
}
