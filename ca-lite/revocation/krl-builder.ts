/**
 * Builds the KRL from what is on record, and nothing else: the same bytes for the same number in every process and after every restart.
 * What was read stays, sorted, so that a further revocation costs reading that one and copying the rest. A million serials are 16 MB here,
 * and more than {@link MAX_SERIAL_RANGES} are refused.
 */
import { hash } from 'node:crypto';
import { decodeBase64 } from '#openssh/base64.ts';
import { createKrl, encodeKrl } from '#openssh/krl.ts';
import { type SerialSet, SerialSetBuilder } from '#openssh/serial-set.ts';
import type { KrlState } from '../store/revocation-decisions.ts';
import type { LineageReader } from '../store/store-lineage.ts';

export interface PublishedKrl {
  readonly number: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Strong, quoted. */
  readonly etag: string;
  /** Of `bytes`: what is signed. */
  readonly sha512: Uint8Array;
  /** How much is revoked, for people. */
  readonly serials: number;
  readonly keys: number;
}

export type KrlSource = Pick<LineageReader, 'krlState' | 'revokedSerials' | 'revokedKeys' | 'krlCas'>;

export class KrlBuilder {
  readonly #store: KrlSource;
  /** By the row of their CA. */
  readonly #serials = new Map<bigint, SerialSet>();
  readonly #fingerprints: Uint8Array[] = [];
  #count = 0;
  #lastSerialRow = 0n;
  #lastKeyRow = 0n;

  constructor(store: KrlSource) {
    this.#store = store;
  }

  /** The KRL of this moment. One call at a time. @throws StoreError */
  async build(): Promise<PublishedKrl> {
    const state = await this.#catchUp();
    const cas = await this.#store.krlCas();
    // In the order of the CAs, not of the reading, which differs from process to process.
    const sections = [...this.#serials].toSorted(([a], [b]) => Number(a - b));
    const certificates = sections.map(([ca, serials]) => ({ ca: blobOf(cas, ca), serials }));
    const contents = { number: state.number, generatedDate: state.changedAt, comment: 'Countersign' };
    const krl = createKrl({ ...contents, certificates, sha256Fingerprints: this.#fingerprints });
    const bytes = new Uint8Array(encodeKrl(krl));
    const etag = `"${hash('sha256', bytes, 'hex').slice(0, 32)}"`;
    const counts = { serials: this.#count, keys: this.#fingerprints.length };
    return { number: state.number, bytes, etag, sha512: hash('sha512', bytes, 'buffer'), ...counts };
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
    const fresh = new Map<bigint, SerialSetBuilder>();
    for (let page = await this.#nextPage(); page !== null; page = await this.#nextPage()) {
      this.#lastSerialRow = page.upTo;
      for (const [ca, serials] of page.byCa) {
        const builder = fresh.get(ca) ?? new SerialSetBuilder();
        fresh.set(ca, builder);
        this.#count += serials.length;
        if (!builder.addAll(serials)) throw new Error('more serials are revoked than a KRL may hold');
      }
    }
    for (const [ca, builder] of fresh) {
      const added = builder.finish();
      const known = this.#serials.get(ca);
      this.#serials.set(ca, known === undefined ? added : known.union(added));
    }
  }

  async #nextPage() {
    return this.#store.revokedSerials(this.#lastSerialRow);
  }

  async #readKeys(): Promise<void> {
    for (;;) {
      const rows = await this.#store.revokedKeys(this.#lastKeyRow);
      for (const { row, keyFingerprint } of rows) {
        this.#fingerprints.push(decodeBase64(`${keyFingerprint.slice('SHA256:'.length)}=`));
        this.#lastKeyRow = row;
      }
      if (rows.length === 0) return;
    }
  }
}

function blobOf(cas: ReadonlyMap<bigint, Uint8Array>, row: bigint): Uint8Array {
  const blob = cas.get(row);
  if (blob === undefined) throw new Error('the CA key of a revoked certificate is not on record');
  return blob;
}
