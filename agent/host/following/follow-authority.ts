/**
 * A host follows its CA: asks which CA keys to trust and what is revoked, takes over what is signed and not older than what it has, and has
 * sshd use it. Each step leaves the disk so that sshd takes every good user, and a stop between two steps is made good by the next run:
 * the keys (`authority.json`), the copy of the KRL, the KRL that sshd reads, and last, in one transaction, the lines that tell sshd. To be
 * called with the lock held. Does I/O; agent/ca/*-verdict.ts decide what is believed, `schedule.ts` when to ask.
 */
import { hash } from 'node:crypto';
import { MAX_KRL_LENGTH } from '#openssh/krl.ts';
import { type CaClientOptions, openCaClient, trusted } from '../../ca/ca-client.ts';
import { CaError } from '../../ca/ca-error.ts';
import { type PulledKrl, pullKrl } from '../../ca/pull-krl.ts';
import { type PulledTrust, pullTrust } from '../../ca/pull-trust.ts';
import { sameTrust } from '../../ca/trust-verdict.ts';
import { retryByCaTime } from '../../ca/time-retry.ts';
import type { Clock } from '../../clock/clock.ts';
import { type Failure, isFailure } from '../../failure.ts';
import { type Authority, writeAuthority } from '../../state/authority.ts';
import type { HostPlaces } from '../host-context.ts';
import type { ActivateOptions } from '../install.ts';
import { choiceOf } from '../install-site.ts';
import { type HostRecord, readHostRecord } from '../host-record.ts';
import { type FollowingRecord, readFollowing, writeFollowing } from './following-record.ts';
import { installFollowed, isFollowedInstalled } from './install-followed.ts';
import { askOpenssh } from './krl-judge.ts';
import { krlPathFor, placeKrl, readHeldKrl, removeKrl, storeKrlCopy } from './krl-files.ts';
import { afterAnswer, afterFailure, isTimeToAsk, nextQuestionAt } from './schedule.ts';

export interface FollowOptions extends Pick<CaClientOptions, 'signal' | 'onWait' | 'connections'> {
  readonly clock: Clock;
  /** How often the CA is asked; default: `ASK_EVERY_SECONDS`. */
  readonly everySeconds?: number;
  /** Ask now, whenever the CA was asked last. */
  readonly urgent: boolean;
  /** Where sshd will be told of a KRL by an enrolment that is under way; default: what is installed decides. */
  readonly krlPath?: string | null;
  /** Told before each step that changes something; may throw. For tests that stop here. */
  readonly onStep?: (step: FollowStep) => void | Promise<void>;
  /** The same within the step `sshd`. */
  readonly install?: Pick<ActivateOptions, 'onStep' | 'onActivation'>;
}

/** What is about to change, in this order. */
export type FollowStep = 'authority' | 'krl-copy' | 'record' | 'krl' | 'sshd' | 'krl-removal' | 'memory';

/** `keys`: CA keys came or went. `krl`: another KRL is in use. `sshd`: it was told of something new. `repaired`: a file was made good. */
export type Followed = 'keys' | 'krl' | 'sshd' | 'repaired';

export interface FollowOutcome {
  /** As it is trusted from now on. */
  readonly authority: Authority;
  readonly did: readonly Followed[];
  /** Of the KRL that is held, when sshd is to use it. */
  readonly krlNumber: bigint | undefined;
  readonly failure: Failure | undefined;
  /** Epoch seconds: when the CA is to be asked again. */
  readonly nextAt: bigint;
}

/** A failure is an outcome: what was followed before stays in force. @throws StateError, and the reason of an abort */
export async function followAuthority(
  places: HostPlaces,
  authority: Authority,
  options: FollowOptions,
): Promise<FollowOutcome> {
  const { stateDirectory } = places;
  const record = await readHostRecord(stateDirectory);
  const walk = new Walk(places, authority, record, await readFollowing(stateDirectory), options);
  const failure = await walk.go();
  await walk.remember(failure);
  return walk.outcome(failure);
}

class Walk {
  readonly #places: HostPlaces;
  readonly #record: HostRecord | undefined;
  readonly #options: FollowOptions;
  readonly #did: Followed[] = [];
  readonly #known: FollowingRecord;
  /** Null: sshd is not to use the KRL of this CA. */
  readonly #krlPath: string | null;
  #authority: Authority;
  #memory: FollowingRecord;
  #krlNumber: bigint | undefined;
  #hasAnswer = false;

  constructor(
    places: HostPlaces,
    authority: Authority,
    record: HostRecord | undefined,
    memory: FollowingRecord,
    options: FollowOptions,
  ) {
    this.#places = places;
    this.#authority = authority;
    this.#record = record;
    this.#known = memory;
    this.#memory = memory;
    this.#options = options;
    this.#krlPath = options.krlPath === undefined ? wantedKrlPath(record) : options.krlPath;
  }

  /** @returns the first failure; what depends on nothing that failed is done all the same */
  async go(): Promise<Failure | undefined> {
    const { urgent, clock } = this.#options;
    const repairing = await failureOf(async () => this.#repair());
    const isDue = urgent || isTimeToAsk(this.#memory.nextAt, clock.now(), this.#options.everySeconds);
    const asking = isDue ? await failureOf(async () => this.#ask()) : undefined;
    const installing = await failureOf(async () => this.#install());
    return repairing ?? asking ?? installing;
  }

  async remember(failure: Failure | undefined): Promise<void> {
    if (failure !== undefined) {
      const failures = this.#memory.failures + 1;
      const nextAt = afterFailure(failures, this.#options.clock.now(), Math.random(), this.#options.everySeconds);
      this.#memory = { ...this.#memory, nextAt, failures, failure: failure.code };
    } else if (this.#hasAnswer) {
      this.#memory = { ...this.#memory, failures: 0, failure: null };
    }
    if (this.#memory === this.#known) return;
    await this.#options.onStep?.('memory');
    await writeFollowing(this.#places.stateDirectory, this.#memory);
  }

  outcome(failure: Failure | undefined): FollowOutcome {
    const nextAt = nextQuestionAt(this.#memory.nextAt, this.#options.clock.now(), this.#options.everySeconds);
    return { authority: this.#authority, did: this.#did, krlNumber: this.#krlNumber, failure, nextAt };
  }

  /** What sshd reads is as it was taken over, whoever touched it, and without the CA. */
  async #repair(): Promise<void> {
    const held = await readHeldKrl(this.#places.stateDirectory, this.#memory);
    if (held === undefined || this.#krlPath === null) return;
    this.#krlNumber = held.number;
    if (await this.#place(held.bytes)) this.#did.push('repaired');
  }

  async #ask(): Promise<void> {
    const { clock } = this.#options;
    await using client = openCaClient({ ...trusted(this.#authority, clock), ...this.#asking() });
    const pulled = await retryByCaTime(client, async () => pullTrust(client, this.#authority, () => clock.now()));
    if (pulled !== undefined) await this.#takeOver(pulled);
    const now = clock.now();
    const nextAt = afterAnswer(now, Math.random(), this.#options.everySeconds);
    this.#memory = { ...this.#memory, askedAt: Number(now), nextAt };
    this.#hasAnswer = true;
  }

  async #takeOver({ authority, krl }: PulledTrust): Promise<void> {
    if (authority !== this.#authority) {
      await this.#options.onStep?.('authority');
      await writeAuthority(this.#places.stateDirectory, authority);
      if (!sameTrust(authority, this.#authority)) this.#did.push('keys');
      this.#authority = authority;
    }
    if (this.#krlPath !== null && krl.number !== this.#krlNumber) await this.#takeKrl(krl.path);
  }

  async #takeKrl(path: string): Promise<void> {
    const { clock } = this.#options;
    const client = { ...trusted(this.#authority, clock), ...this.#asking(), maxBodyBytes: MAX_KRL_LENGTH };
    await using large = openCaClient(client);
    const heldEtag = this.#krlNumber === undefined ? undefined : (this.#memory.krl?.etag ?? undefined);
    const question = { path, heldNumber: this.#leastNumber(), heldEtag };
    const pulled = await retryByCaTime(large, async () => pullKrl(large, this.#authority, question, () => clock.now()));
    if (pulled !== undefined) await this.#keepKrl(pulled);
  }

  /** A person who repeats the first contact takes the CA as it is, also one that was restored from a backup. */
  #leastNumber(): bigint | undefined {
    const { krl } = this.#memory;
    return krl === null || krl.pinnedAt === this.#authority.pinnedAt ? this.#krlNumber : undefined;
  }

  async #keepKrl({ bytes, krl, etag }: PulledKrl): Promise<void> {
    const { stateDirectory } = this.#places;
    if ((await askOpenssh(stateDirectory, bytes)) === 'refused') throw refusedByOpenssh(this.#authority);
    await this.#options.onStep?.('krl-copy');
    await storeKrlCopy(stateDirectory, bytes);
    let serials = 0n;
    for (const revoked of krl.certificates) for (const { first, last } of revoked.serials) serials += last - first + 1n;
    const described = {
      number: String(krl.number),
      sha256: hash('sha256', bytes, 'hex'),
      etag: etag ?? null,
      takenAt: Number(this.#options.clock.now()),
      serials: String(serials),
      pinnedAt: this.#authority.pinnedAt,
      keys: krl.keys.length + krl.sha1Fingerprints.length + krl.sha256Fingerprints.length,
    };
    this.#memory = { ...this.#memory, krl: described };
    this.#krlNumber = krl.number;
    await this.#place(bytes);
    this.#did.push('krl');
  }

  /** Noted before it is there, so that a removal finds it. @returns whether anything changed */
  async #place(bytes: Uint8Array): Promise<boolean> {
    const path = this.#krlPath;
    if (path === null) return false;
    if (this.#memory.krlPath !== path || this.#memory.krl !== this.#known.krl) {
      this.#memory = { ...this.#memory, krlPath: path };
      await this.#options.onStep?.('record');
      await writeFollowing(this.#places.stateDirectory, this.#memory);
    }
    await this.#options.onStep?.('krl');
    return placeKrl(path, bytes);
  }

  async #install(): Promise<void> {
    const record = this.#record;
    if (record === undefined || this.#options.krlPath !== undefined) return;
    if (!(await isFollowedInstalled(record, this.#authority, this.#krlNumber !== undefined))) {
      await this.#options.onStep?.('sshd');
      const { signal, install = {} } = this.#options;
      const hooks = signal === undefined ? install : { ...install, signal };
      const changed = await installFollowed(this.#places, this.#authority, record, hooks);
      if (changed) this.#did.push('sshd');
    }
    await this.#dropUnused();
  }

  /** Users are no longer trusted here: sshd was told to forget the KRL before. */
  async #dropUnused(): Promise<void> {
    const path = this.#memory.krlPath;
    if (this.#krlPath !== null || path === null) return;
    if ((await readHostRecord(this.#places.stateDirectory))?.revokedKeys === path) return;
    await this.#options.onStep?.('krl-removal');
    await removeKrl(path);
    this.#memory = { ...this.#memory, krlPath: null };
  }

  #asking(): Pick<CaClientOptions, 'signal' | 'onWait' | 'connections'> {
    const { signal, onWait, connections } = this.#options;
    return {
      ...(signal === undefined ? {} : { signal }),
      ...(onWait === undefined ? {} : { onWait }),
      ...(connections === undefined ? {} : { connections }),
    };
  }
}

/** A defect and an abort go on up. */
async function failureOf(step: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    if (!isFailure(error) || error.code === 'interrupted') throw error;
    return error;
  }
}

/** What a CA revokes matters to an sshd that takes its user certificates. */
function wantedKrlPath(record: HostRecord | undefined): string | null {
  return record !== undefined && choiceOf(record).refuseRevoked === true ? krlPathFor(record.sshd.configPath) : null;
}

function refusedByOpenssh({ url }: Authority): CaError {
  return new CaError('krl-unusable', `The revocation list of ${url} was not taken over: OpenSSH here cannot read it`, {
    advice: 'Nothing was changed, and sshd never saw it. A newer OpenSSH may read it: ssh -V shows which one this is.',
  });
}
