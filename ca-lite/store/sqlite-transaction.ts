/**
 * One transaction of the writer: it holds the head of the audit chain as the database has it, hands out entries, and
 * sums up the counters, which are written once at the end. Reading the head inside each transaction is what keeps the
 * chain in one line while several processes write.
 */
import { entryHash } from '../audit/chain.ts';
import type { AuditOutcome, PreparedNote } from '../audit/entry.ts';
import { StoreError } from './errors.ts';
import type { Connection } from './sqlite-connection.ts';
import { encodeSerial } from './sqlite-values.ts';

interface LedgerRow {
  readonly audit_count: bigint;
  readonly audit_hash: Uint8Array;
  readonly pruned_through: bigint;
  readonly surplus: bigint;
}

const INSERT_AUDIT = `INSERT INTO audit
  (sequence, time, action, outcome, code, type, name, serial, key_fingerprint, provisioner, requester, actor,
   request_id, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

export class Transaction {
  readonly connection: Connection;
  #sequence: bigint;
  #hash: Uint8Array;
  #prunedThrough: bigint;
  readonly #counts = new Map<string, bigint>();

  private constructor(connection: Connection, ledger: LedgerRow) {
    this.connection = connection;
    this.#sequence = ledger.audit_count;
    this.#hash = ledger.audit_hash;
    this.#prunedThrough = ledger.pruned_through;
  }

  /** To be called inside BEGIN IMMEDIATE. @throws StoreError when nothing can be appended to the audit log as it is */
  static begin(connection: Connection): Transaction {
    const ledger = connection.get<LedgerRow>(
      `SELECT audit_count, audit_hash, pruned_through,
              EXISTS (SELECT 1 FROM audit WHERE sequence > audit_count) AS surplus FROM ledger`,
    );
    if (ledger === undefined) throw new StoreError('store-corrupt', 'The ledger of the store is empty.');
    if (ledger.surplus !== 0n) {
      throw new StoreError('store-corrupt', 'The audit log goes on after its head (see audit --verify).');
    }
    return new Transaction(connection, ledger);
  }

  /** Identifiers that expired at or before this time (epoch seconds) may be forgotten, so none of them passes again. */
  get prunedThrough(): bigint {
    return this.#prunedThrough;
  }

  forgetThrough(time: bigint): void {
    if (time > this.#prunedThrough) this.#prunedThrough = time;
  }

  /** Appends an entry; its number. */
  audit(note: PreparedNote, outcome: AuditOutcome, code: string): bigint {
    const { time, action, subject, details } = note;
    const sequence = this.#sequence + 1n;
    const hash = entryHash(this.#hash, { sequence, time, action, outcome, code, subject, details });
    const serial = subject.serial === null ? null : encodeSerial(subject.serial);
    this.connection.run(
      INSERT_AUDIT,
      sequence,
      time,
      action,
      outcome,
      code,
      subject.type,
      subject.name,
      serial,
      subject.keyFingerprint,
      subject.provisioner,
      subject.requester,
      subject.actor,
      subject.requestId,
      details,
      hash,
    );
    this.#sequence = sequence;
    this.#hash = hash;
    return sequence;
  }

  /** Adds to a counter, e.g. `certificates.host.issued`. */
  count(name: string, by: bigint): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0n) + by);
  }

  /** Does `action` wholly or not at all; what it throws is thrown on, with the rest of the transaction untouched. */
  alone<Result>(action: () => Result): Result {
    const before = { sequence: this.#sequence, hash: this.#hash, prunedThrough: this.#prunedThrough };
    const counts = new Map(this.#counts);
    this.connection.run('SAVEPOINT operation');
    try {
      const result = action();
      this.connection.run('RELEASE operation');
      return result;
    } catch (error) {
      if (this.connection.inTransaction) this.connection.exec('ROLLBACK TO operation; RELEASE operation');
      this.#sequence = before.sequence;
      this.#hash = before.hash;
      this.#prunedThrough = before.prunedThrough;
      this.#counts.clear();
      for (const [name, value] of counts) this.#counts.set(name, value);
      throw error;
    }
  }

  /** Writes head and counters; COMMIT follows. */
  finish(): void {
    this.connection.run(
      'UPDATE ledger SET audit_count = ?, audit_hash = ?, pruned_through = ?',
      this.#sequence,
      this.#hash,
      this.#prunedThrough,
    );
    for (const [name, by] of this.#counts) {
      if (by === 0n) continue;
      this.connection.run(
        'INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
        name,
        by,
      );
    }
  }
}
