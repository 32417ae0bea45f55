/**
 * One pass over all certificates of this host: renew what is due, end what an earlier run left unfinished, report what is in use.
 * Each new certificate is durably stored before it is installed, and installed and served before it is reported, so that a stop at any
 * moment is made good by the next pass: with the stored certificate, or with the one that the CA gives once more. A key that fails does
 * not stop the others. Does I/O; `agenda.ts` and `setback.ts` decide.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { type CaClient, openCaClient, trusted } from '../../ca/ca-client.ts';
import type { Clock } from '../../clock/clock.ts';
import { rememberClock } from '../../clock/clock-record.ts';
import type { Judgement } from '../../clock/judgement.ts';
import { type Failure, isFailure } from '../../failure.ts';
import type { Authority } from '../../state/authority.ts';
import { CaError } from '../../ca/ca-error.ts';
import { isTransportCode } from '../../ca/transport-error.ts';
import { installCertificates } from '../enrol-host.ts';
import type { FollowOutcome } from '../following/follow-authority.ts';
import { type Standing, claimsOf, readStanding } from '../following/standing.ts';
import { type HostContext, type HostPlaces, openHost } from '../host-context.ts';
import { HostError } from '../host-error.ts';
import { type HostKey, readHostKeys } from '../host-key.ts';
import { type HostRecord, readHostRecord } from '../host-record.ts';
import { choiceOf, findInstallSite } from '../install-site.ts';
import { storeIssued } from '../issued-store.ts';
import { findReloadMethod } from '../reload.ts';
import { type Agenda, isPaused, planWork } from './agenda.ts';
import { CaConversation } from './ca-conversation.ts';
import { type KeyMemory, afterReport, readRenewalRecord, writeRenewalRecord } from './renewal-record.ts';
import { RenewalError } from './renewal-error.ts';
import { judgeSetback } from './setback.ts';
import { type SeenKey, seeKey } from './sighting.ts';

export interface PassOptions {
  /** Renew whatever the age, and whatever pause a failure asked for. */
  readonly force: boolean;
  /** What everything is judged by; remembered when the CA told the time. */
  readonly clock: Clock;
  /** Seconds between two reports of one certificate; default: `REPORT_EVERY_SECONDS`. */
  readonly reportEverySeconds?: number;
  /** Do not wait for the end of a pause that began because the CA was not reached. */
  readonly impatient?: boolean;
  readonly signal?: AbortSignal;
  /** Told before each wait that the CA asked for. */
  readonly onWait?: (seconds: number) => void;
}

export interface KeyOutcome {
  readonly path: string;
  readonly fingerprint: string;
  /** The newest certificate after the pass. */
  readonly certificate: Certificate | undefined;
  /** `finished`: an earlier run had obtained it. */
  readonly did: 'renewed' | 'finished' | 'nothing';
  /** Names that the CA no longer gives, or gives now. */
  readonly changedNames: readonly string[];
  readonly reported: boolean;
  readonly failure: Failure | undefined;
  /** The code of an earlier failure, when the pause after it is not over and nothing was tried. */
  readonly waitingAfter: string | undefined;
  /** The failure stays until a person acts. */
  readonly needsPerson: boolean;
  /** Epoch seconds: when there may be something to do. */
  readonly nextAt: bigint;
}

export interface PassOutcome {
  readonly keys: readonly KeyOutcome[];
  /** The newest number of the KRL that the CA told of, decimal; undefined when nothing was reported. */
  readonly krlNumber?: string | undefined;
  /** Of the look at the CA's keys and revocations, where there was one (`runHostPass`). */
  readonly following?: FollowOutcome;
  /** Which time was believed. */
  readonly clock: Judgement;
}

/** One key on its way through the pass. */
interface Work {
  readonly seen: SeenKey;
  readonly agenda: Agenda;
  current: Certificate;
  did: KeyOutcome['did'];
  install: boolean;
  reported: boolean;
  krlNumber: string | undefined;
  memory: KeyMemory;
  failure: Failure | undefined;
  needsPerson: boolean;
}

/** To be called with the lock held. @throws StateError, RenewalError, and the reason of an abort */
export async function runRenewalPass(
  places: HostPlaces,
  authority: Authority,
  options: PassOptions,
): Promise<PassOutcome> {
  const { stateDirectory } = places;
  const record = await readHostRecord(stateDirectory);
  if (record === undefined || record.keys.length === 0) throw notEnrolled();
  const memories = await readRenewalRecord(stateDirectory);
  const seen: SeenKey[] = [];
  for (const key of record.keys) seen.push(await seeKey(stateDirectory, key, memories));
  const { clock } = options;
  await using client = openCaClient({ ...trusted(authority, clock), ...waiting(options) });
  const untimely = await settleClock(client, seen, options);
  const standing = await readStanding(stateDirectory, authority, record);
  const claims = claimsOf(standing);
  const works = seen.flatMap((one) => workOf(one, claims, options));
  if (untimely !== undefined) for (const work of works) noteFailure(work, untimely, clock);
  const busy = works.filter(({ agenda }) => agenda.renew || agenda.install || agenda.report);
  if (busy.length > 0) await workThrough({ places, authority, record, standing, options, client }, busy);
  if (busy.length > 0 || untimely !== undefined) {
    await writeRenewalRecord(stateDirectory, new Map(works.map(({ seen, memory }) => [seen.key.fingerprint, memory])));
  }
  const krlNumber = works.find((work) => work.krlNumber !== undefined)?.krlNumber;
  await rememberClock(stateDirectory, clock);
  return { keys: seen.map((one) => outcomeOf(one, works, claims, options)), krlNumber, clock: clock.judge() };
}

/** A doubtful clock is settled before anything is judged by it. @returns why that failed */
async function settleClock(
  client: CaClient,
  seen: readonly SeenKey[],
  options: PassOptions,
): Promise<Failure | undefined> {
  const { clock } = client;
  if (clock.judge().kind !== 'doubtful') return undefined;
  if (!options.force && seen.every((one) => isPaused(memoryOf(one, options), clock.now()))) return undefined;
  try {
    await client.askTime();
    return undefined;
  } catch (error) {
    if (!isFailure(error) || error.code === 'interrupted') throw error;
    return error;
  }
}

function waiting({ signal, onWait }: PassOptions) {
  return { ...(signal === undefined ? {} : { signal }), ...(onWait === undefined ? {} : { onWait }) };
}

function rhythmOf({ reportEverySeconds }: PassOptions) {
  return reportEverySeconds === undefined ? {} : { reportEverySeconds };
}

function memoryOf({ memory }: SeenKey, { impatient = false }: PassOptions): KeyMemory {
  return impatient && isTransportCode(memory.refusal) ? { ...memory, pausedUntil: 0 } : memory;
}

function workOf(seen: SeenKey, claims: string, options: PassOptions): Work[] {
  const { current, isInstalled } = seen;
  if (current === undefined) return [];
  const memory = memoryOf(seen, options);
  const { clock, force } = options;
  const planned = planWork({ current, isInstalled, memory, claims, ...rhythmOf(options) }, clock.now(), force);
  // By a clock that is not believed, what is here can be installed, and nothing else decided.
  const agenda = clock.judge().kind === 'doubtful' ? { ...planned, renew: false, report: false } : planned;
  const install = agenda.install;
  const start = {
    did: 'nothing',
    reported: false,
    krlNumber: undefined,
    failure: undefined,
    needsPerson: false,
  } as const;
  return [{ seen, agenda, current, install, memory, ...start }];
}

interface Pass {
  readonly places: HostPlaces;
  readonly authority: Authority;
  readonly record: HostRecord;
  readonly standing: Standing;
  readonly options: PassOptions;
  readonly client: CaClient;
}

async function workThrough(pass: Pass, works: readonly Work[]): Promise<void> {
  const context = await openHost(pass.places);
  const { keys } = await readHostKeys(context.settings);
  const keyOf = ({ seen }: Work) => keys.find(({ fingerprint }) => fingerprint === seen.key.fingerprint);
  const conversation = new CaConversation(pass.client, pass.authority);
  for (const work of works) await attempt(pass, [work], async () => obtain(pass, conversation, work, keyOf(work)));
  for (const group of groupsToInstall(works)) {
    await attempt(pass, group, async () => install(pass, context, group, keyOf));
  }
  for (const work of works) await attempt(pass, [work], async () => report(pass, conversation, work, keyOf(work)));
}

/** A failure is noted for these keys, with a pause; a defect and an abort go on up. */
async function attempt({ client }: Pass, works: readonly Work[], step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (!isFailure(error) || error.code === 'interrupted') throw error;
    for (const work of works) noteFailure(work, error, client.clock);
  }
}

function noteFailure(work: Work, failure: Failure, clock: Clock): void {
  const failures = work.memory.failures + 1;
  const { pauseSeconds, needsPerson } = judgeSetback(failure, failures, Math.random());
  const pausedUntil = Number(clock.now()) + pauseSeconds;
  const refusal = (failure instanceof CaError ? failure.refusal?.code : undefined) ?? failure.code;
  const { message, advice = null } = failure;
  const lastFailure = { at: Number(clock.now()), code: refusal, message, advice, needsPerson };
  work.memory = { ...work.memory, failures, pausedUntil, refusal, lastFailure };
  work.failure ??= failure;
  work.needsPerson ||= needsPerson;
}

async function obtain(
  { places, options }: Pass,
  conversation: CaConversation,
  work: Work,
  key: HostKey | undefined,
): Promise<void> {
  if (!work.agenda.renew) return;
  options.signal?.throwIfAborted();
  const successor = await conversation.renew({ key: required(key, work), certificate: work.current });
  await storeIssued(places.stateDirectory, required(key, work).fingerprint, successor);
  work.current = successor;
  work.memory = { ...work.memory, renewedAt: Number(conversation.now()) };
  work.did = 'renewed';
  work.install = true;
}

/** Keys that were enrolled under the same names go together: one transaction, one reload. */
function groupsToInstall(works: readonly Work[]): Work[][] {
  const wanted = works.filter(({ install }) => install);
  const identityOf = ({ seen: { key } }: Work) => JSON.stringify([key.names, key.addresses, key.port]);
  return [...Map.groupBy(wanted, identityOf).values()];
}

async function install(
  { authority, record, options }: Pass,
  context: HostContext,
  group: readonly Work[],
  keyOf: (work: Work) => HostKey | undefined,
): Promise<void> {
  const [first] = group;
  if (first === undefined) return;
  const enrolled = group.map((work) => ({
    key: required(keyOf(work), work),
    certificate: work.current,
    reused: false,
  }));
  const keys = enrolled.map(({ key }) => key);
  const { names, addresses, port } = first.seen.key;
  const plan = {
    identity: { names, addresses, remarks: [] },
    port,
    keys,
    ownKeys: keys,
    site: await findInstallSite(context, authority, keys, choiceOf(record)),
    reload: await findReloadMethod(context.settings, context.reload),
    remarks: [],
  };
  const { signal } = options;
  await installCertificates(context, authority, plan, enrolled, signal === undefined ? {} : { signal });
  for (const work of group) {
    if (work.did === 'nothing') work.did = 'finished';
    work.install = false;
  }
}

/** Only what is installed is reported; at once when that is new. */
async function report(
  { standing, options, client }: Pass,
  conversation: CaConversation,
  work: Work,
  key: HostKey | undefined,
): Promise<void> {
  const isNews = work.did !== 'nothing';
  if (work.install || work.failure !== undefined || (!work.agenda.report && !isNews)) return;
  options.signal?.throwIfAborted();
  const holding = { key: required(key, work), certificate: work.current };
  const { renewNow, krlNumber } = await conversation.report(holding, standing);
  work.reported = true;
  work.krlNumber = krlNumber;
  const at = Number(client.clock.now());
  const reported = { serial: String(work.current.serial), at, claims: claimsOf(standing) };
  work.memory = afterReport(work.memory, reported, renewNow);
}

function required(key: HostKey | undefined, { seen }: Work): HostKey {
  if (key !== undefined) return key;
  throw new HostError(
    'key-unusable',
    `the host key of ${seen.key.path} is not the enrolled one any more, or cannot be read`,
    {
      advice: 'If it was made anew, enrol the new one: countersign host enroll',
    },
  );
}

function outcomeOf(seen: SeenKey, works: readonly Work[], claims: string, options: PassOptions): KeyOutcome {
  const { clock } = options;
  const { path, fingerprint } = seen.key;
  const work = works.find((one) => one.seen === seen);
  if (work === undefined) return { ...nothingFound(seen, clock), path, fingerprint };
  const { current, did, reported, failure, needsPerson, memory } = work;
  const nextAt = nextLook({ current, isInstalled: !work.install, memory, claims, ...rhythmOf(options) }, clock);
  const changedNames = did === 'renewed' ? changed(seen.current, current) : [];
  const isWaiting = did === 'nothing' && failure === undefined && memory.refusal !== null;
  const waitingAfter = isWaiting ? (memory.refusal ?? undefined) : undefined;
  return {
    path,
    fingerprint,
    certificate: current,
    did,
    changedNames,
    reported,
    failure,
    waitingAfter,
    needsPerson,
    nextAt,
  };
}

/** By a clock that is not believed, nothing is known to be due: it is settled after the pause. */
function nextLook(sighting: Parameters<typeof planWork>[0], clock: Clock): bigint {
  if (clock.judge().kind !== 'doubtful') return planWork(sighting, clock.now(), false).nextAt;
  const { pausedUntil } = sighting.memory;
  return isPaused(sighting.memory, clock.now()) ? BigInt(pausedUntil) : clock.now() + 1n;
}

function nothingFound({ key }: SeenKey, clock: Clock): Omit<KeyOutcome, 'path' | 'fingerprint'> {
  const failure = new RenewalError('not-enrolled', `the certificate for ${key.path} is missing or damaged`, {
    advice: 'Enrol the key again: countersign host enroll',
  });
  const nextAt = clock.now() + 3600n;
  return {
    certificate: undefined,
    waitingAfter: undefined,
    did: 'nothing',
    changedNames: [],
    reported: false,
    failure,
    needsPerson: true,
    nextAt,
  };
}

function changed(before: Certificate | undefined, after: Certificate): string[] {
  return [...new Set(before?.principals).symmetricDifference(new Set(after.principals))];
}

function notEnrolled(): RenewalError {
  return new RenewalError('not-enrolled', 'this host has no certificate that could be renewed', {
    advice: 'Enrol it first: countersign host enroll',
  });
}
