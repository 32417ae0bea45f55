/**
 * The CA keys of a CA that serves: they follow the record of CA keys without a restart (docs/rotation.md). A step of a rotation is taken as
 * a whole, between two requests: first all keys that it needs are opened, then everything changes at once.
 *
 * What a request planned under one key is signed by that key, or not at all: `signers.of`. A key that cannot be opened leaves the CA with
 * what it had, as long as that is trusted, and is tried again.
 */
import type { Logger } from 'pino';
import type { CertificateType } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf, parseFingerprint } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { type ChallengeKey, ChallengeKeyRing } from '../enrol/challenge-key.ts';
import type { CaSigners } from '../issue/issuer.ts';
import { type Signer, SignerError } from '../signer/signer.ts';
import type { CaKeyRecord, CaKeysRecord } from '../store/ca-key-decisions.ts';
import { Statements } from '../trust/statements.ts';
import type { TrustedKeys } from '../trust/trusted-keys.ts';
import { currentKey, heldKeys, trustedKeys } from './ca-keys.ts';
import { parseKeyPlace, type KeyPlace } from './key-place.ts';

export interface LiveKeysParts {
  readonly store: { caKeys(): Promise<CaKeysRecord> };
  readonly open: (place: KeyPlace) => Promise<Signer>;
  /** Where the keys are that sign as long as none is on record. */
  readonly first: Readonly<Record<CertificateType, KeyPlace>>;
  readonly log: Logger;
}

/** Everything that hangs on the CA keys at one moment. */
interface Moment {
  readonly number: number;
  readonly signers: Readonly<Record<CertificateType, Signer>>;
  readonly trust: TrustedKeys;
}

export class LiveKeys {
  readonly signers: CaSigners;
  readonly trust: TrustedKeys;
  /** Fingerprints of the host CA keys that are trusted: the same set, changed in place. */
  readonly hostCas: ReadonlySet<Fingerprint>;
  readonly challengeKeys: Pick<ChallengeKeyRing, 'current'>;
  readonly statements = new Statements();
  readonly #parts: LiveKeysParts;
  readonly #hostCas = new Set<Fingerprint>();
  readonly #held = new Map<string, Signer>();
  #challengeKeys: ChallengeKeyRing | undefined;
  #moment: Moment | undefined;
  /** The record's number up to which everything was taken up; what could not be opened is tried again. */
  #done: number | undefined;
  #refreshing: Promise<void> | undefined;
  #failures = '';

  private constructor(parts: LiveKeysParts) {
    const moment = (): Moment => this.#current();
    this.#parts = parts;
    this.hostCas = this.#hostCas;
    this.signers = {
      get host() {
        return moment().signers.host;
      },
      get user() {
        return moment().signers.user;
      },
      of: (key) => this.#signerOfKey(key),
    };
    this.trust = {
      get number() {
        return moment().trust.number;
      },
      get hostCas() {
        return moment().trust.hostCas;
      },
      get userCas() {
        return moment().trust.userCas;
      },
    };
    this.challengeKeys = { current: async (now) => this.#challengeKey(now) };
  }

  /** @throws StoreError, and what opening a key throws: at the start none that signs may be missing */
  static async open(parts: LiveKeysParts): Promise<LiveKeys> {
    const keys = new LiveKeys(parts);
    await keys.#take(await parts.store.caKeys(), true);
    return keys;
  }

  /** Takes up what changed in the record. Calls at the same time share one. @throws StoreError */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const record = await this.#parts.store.caKeys();
    if (record.number !== this.#done) await this.#take(record, false);
  }

  async #take(record: CaKeysRecord, atStart: boolean): Promise<void> {
    const failures: string[] = [];
    for (const key of heldKeys(record.keys)) {
      try {
        if (!this.#held.has(key.fingerprint)) this.#held.set(key.fingerprint, await this.#openRecorded(key));
      } catch (error) {
        if (atStart && key.state !== 'next') throw error;
        failures.push(`${key.type} CA key ${key.fingerprint}: ${error instanceof Error ? error.message : 'unknown'}`);
      }
    }
    const host = await this.#signerOf(record, 'host');
    const user = await this.#signerOf(record, 'user');
    this.#change(record, { host, user });
    if (failures.length === 0) this.#done = record.number;
    this.#tell(failures, record.number);
  }

  /** Mostly it is the very key that the signer gave out, and then its fingerprint is not needed. */
  #signerOfKey(key: PublicKey): Signer | undefined {
    const same = this.#held.values().find(({ publicKey }) => publicKey === key);
    return same ?? this.#held.get(fingerprintOfKey(key));
  }

  /** The key that the record names; while that cannot be opened, the one before, unless it was retired meanwhile. */
  async #signerOf({ keys }: CaKeysRecord, type: CertificateType): Promise<Signer> {
    const current = currentKey(keys, type);
    const held = current === undefined ? undefined : this.#held.get(current.fingerprint);
    if (held !== undefined) return held;
    const before = this.#moment?.signers[type];
    if (before === undefined) return this.#openFirst(type);
    const name = fingerprintOfKey(before.publicKey);
    const isRetired = keys.some(({ fingerprint, state }) => fingerprint === name && state === 'retired');
    return isRetired ? withoutKey(before) : before;
  }

  async #openFirst(type: CertificateType): Promise<Signer> {
    const signer = await this.#parts.open(this.#parts.first[type]);
    this.#held.set(fingerprintOfKey(signer.publicKey), signer);
    return signer;
  }

  async #openRecorded({ secret, fingerprint }: CaKeyRecord): Promise<Signer> {
    const place = parseKeyPlace(secret);
    if (place === undefined) throw new Error('the record of CA keys names a place that this version does not know');
    const signer = await this.#parts.open(place);
    if (fingerprintOfKey(signer.publicKey) === fingerprint) return signer;
    await signer[Symbol.asyncDispose]();
    throw new SignerError('signer-unavailable', 'there is another key in the place that the record of CA keys names');
  }

  /** All at once: nothing here waits. */
  #change({ keys, number }: CaKeysRecord, signers: Moment['signers']): void {
    const hostCas = trustedKeys(keys, 'host', signers.host.publicKey);
    const userCas = trustedKeys(keys, 'user', signers.user.publicKey);
    const fingerprints = hostCas.map(({ fingerprint }) => parseFingerprint(fingerprint));
    if (signers.host !== this.#moment?.signers.host) this.#challengeKeys = new ChallengeKeyRing(signers.host);
    this.#moment = { number, signers, trust: { number, hostCas, userCas } };
    this.#hostCas.clear();
    for (const fingerprint of fingerprints) this.#hostCas.add(fingerprint);
    const old = keys.filter(({ type, state }) => type === 'host' && state === 'old');
    this.statements.use([signers.host, ...old.flatMap(({ fingerprint }) => this.#held.get(fingerprint) ?? [])]);
    this.#letGo(keys);
  }

  /** Keys that nothing may be signed with any more. An old user CA key stays for what was planned under it. */
  #letGo(keys: readonly CaKeyRecord[]): void {
    const ended = keys.filter(({ state }) => state === 'retired').map(({ fingerprint }) => fingerprint);
    const withdrawn = [...this.#held.keys()].filter((held) => !this.#isKnown(held, keys));
    for (const fingerprint of [...ended, ...withdrawn]) {
      const signer = this.#held.get(fingerprint);
      this.#held.delete(fingerprint);
      void signer?.[Symbol.asyncDispose]();
    }
  }

  #isKnown(fingerprint: string, keys: readonly CaKeyRecord[]): boolean {
    const signing = Object.values(this.#current().signers).map(({ publicKey }) => fingerprintOfKey(publicKey));
    return signing.includes(fingerprint as Fingerprint) || keys.some((key) => key.fingerprint === fingerprint);
  }

  #tell(failures: readonly string[], number: number): void {
    const { log } = this.#parts;
    const text = failures.join('; ');
    if (text !== '' && text !== this.#failures)
      log.error(
        { failures },
        'a CA key cannot be opened; it is tried again, and until then the CA goes on with what it has',
      );
    if (text === '' && (number > 1 || this.#failures !== ''))
      log.info({ number }, 'the CA keys are those of the record');
    this.#failures = text;
  }

  async #challengeKey(now: bigint): Promise<ChallengeKey> {
    if (this.#challengeKeys === undefined) throw new TypeError('the CA keys are not open');
    return this.#challengeKeys.current(now);
  }

  #current(): Moment {
    if (this.#moment === undefined) throw new TypeError('the CA keys are not open');
    return this.#moment;
  }
}

/** Looks at the record once a second: another process may have changed it, and a look costs less than a request. */
export function followKeys(keys: Pick<LiveKeys, 'refresh'>, log: Logger, intervalMs = 1000): Disposable {
  const look = (): void =>
    void keys.refresh().catch((error: unknown) => log.error({ err: error }, 'the record of CA keys cannot be read'));
  const timer = setInterval(look, intervalMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Stands where a key signed that is retired, until the next one can be opened. */
function withoutKey(retired: Signer): Signer {
  return {
    publicKey: retired.publicKey,
    algorithm: retired.algorithm,
    sign: async () => {
      throw new SignerError('signer-unavailable', 'The CA key was retired, and the one that follows cannot be opened.');
    },
    [Symbol.asyncDispose]: async () => retired[Symbol.asyncDispose](),
  };
}

function fingerprintOfKey(key: PublicKey): Fingerprint {
  return fingerprintOf(encodePublicKey(key));
}
