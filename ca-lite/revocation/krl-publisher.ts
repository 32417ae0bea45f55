/**
 * The KRL as it is served: built on from what was read before, made anew only when the store's number moved, and the same bytes for the
 * same number in every process and after every restart, since nothing goes into it but what is on record.
 */
import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeBase64 } from '#openssh/base64.ts';
import { createKrl, encodeKrl } from '#openssh/krl.ts';
import { SerialSetBuilder } from '#openssh/serial-set.ts';
import type { KrlState } from '../store/revocation-decisions.ts';
import type { LineageReader } from '../store/store-lineage.ts';

export interface PublishedKrl {
  readonly number: bigint;
  readonly bytes: Uint8Array;
  /** Strong, quoted. */
  readonly etag: string;
  /** How much is revoked, for people. */
  readonly serials: number;
  readonly keys: number;
}

type Source = Pick<LineageReader, 'krlState' | 'revokedSerials' | 'revokedKeys' | 'krlCas'>;

export class KrlPublisher {
  readonly #store: Source;
  /** Serials in order of revocation, by the row of their CA. */
  readonly #serials = new Map<bigint, bigint[]>();
  readonly #fingerprints: Uint8Array[] = [];
  #lastSerialRow = 0n;
  #lastKeyRow = 0n;
  #published: PublishedKrl | undefined;
  #building: Promise<PublishedKrl> | undefined;

  constructor(store: Source) {
    this.#store = store;
  }

  /** @throws StoreError */
  async current(): Promise<PublishedKrl> {
    const { number } = await this.#store.krlState();
    if (this.#published?.number === number) return this.#published;
    this.#building ??= this.#build().finally(() => (this.#building = undefined));
    return this.#building;
  }

  async #build(): Promise<PublishedKrl> {
    const state = await this.#catchUp();
    const cas = await this.#store.krlCas();
    const certificates = [...this.#serials].map(([ca, serials]) => ({ ca: blobOf(cas, ca), serials: setOf(serials) }));
    const contents = { number: state.number, generatedDate: state.changedAt, comment: 'Countersign' };
    const bytes = encodeKrl(createKrl({ ...contents, certificates, sha256Fingerprints: this.#fingerprints }));
    const serials = [...this.#serials.values()].reduce((sum, { length }) => sum + length, 0);
    const etag = `"${hash('sha256', bytes, 'hex').slice(0, 32)}"`;
    this.#published = { number: state.number, bytes, etag, serials, keys: this.#fingerprints.length };
    return this.#published;
  }

  /** Reads what is new; the state that all of it belongs to. What is revoked while reading is read as well. */
  async #catchUp(): Promise<KrlState> {
    for (;;) {
      const before = await this.#store.krlState();
      await this.#readSerials();
      await this.#readKeys();
      const after = await this.#store.krlState();
      if (before.number === after.number) return after;
    }
  }

  async #readSerials(): Promise<void> {
    for (;;) {
      const rows = await this.#store.revokedSerials(this.#lastSerialRow);
      for (const { row, serial, ca } of rows) {
        const known = this.#serials.get(ca);
        if (known === undefined) this.#serials.set(ca, [serial]);
        else known.push(serial);
        this.#lastSerialRow = row;
      }
      if (rows.length === 0) return;
      await nextTurn(); // others are served between two pages
    }
  }

  async #readKeys(): Promise<void> {
    for (;;) {
      const rows = await this.#store.revokedKeys(this.#lastKeyRow);
      for (const { row, keyFingerprint } of rows) {
        this.#fingerprints.push(decodeBase64(`${keyFingerprint.slice('SHA256:'.length)}=`));
        this.#lastKeyRow = row;
      }
      if (rows.length === 0) return;
      await nextTurn();
    }
  }
}

function setOf(serials: readonly bigint[]) {
  const builder = new SerialSetBuilder();
  for (const serial of serials)
    if (!builder.add(serial, serial)) throw new Error('more serials are revoked than a KRL may hold');
  return builder.finish();
}

function blobOf(cas: ReadonlyMap<bigint, Uint8Array>, row: bigint): Uint8Array {
  const blob = cas.get(row);
  if (blob === undefined) throw new Error('the CA key of a revoked certificate is not on record');
  return blob;
}
