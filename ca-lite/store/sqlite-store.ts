/**
 * The embedded store: one SQLite file, for one server and the commands of its administrators.
 *
 * Threads. Writes go to a worker thread, many callers' in one transaction (`group-writer.ts`, `sqlite-group.ts`). Reads
 * run here, on a connection of their own that cannot write: in WAL mode it sees every commit that was acknowledged, never
 * waits for the writer, and a lookup by index costs less than a message to another thread. No read holds a transaction
 * across turns of the event loop, so the log never stays pinned; each looks at a bounded number of rows.
 *
 * Processes. Any number may write: each transaction is BEGIN IMMEDIATE with a wait, and reads what it decides on,
 * the head of the audit chain included, inside. So an administrator's command works beside a running server. Two servers
 * are refused (`sqlite-lock.ts` says why).
 *
 * Needs a local file system: WAL is shared memory between processes.
 */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { type AuditStatement, prepareNote } from '../audit/entry.ts';
import { startWorker } from '../worker.ts';
import type {
  AbandonedIntent,
  ClearHostRequest,
  ConsumeRequest,
  HostTokenRequest,
  IssuanceIntent,
  IssuanceResult,
  PruneRequest,
  TokenRequest,
} from './decisions.ts';
import { StoreError } from './errors.ts';
import { GroupWriter } from './group-writer.ts';
import type { RotationRequest } from './ca-key-decisions.ts';
import type { EndGrantRequest, GrantRequest } from './grant-decisions.ts';
import type { RenewalRequest, ReportRequest, ResolveRequest } from './lineage-decisions.ts';
import {
  prepareEndGrant,
  prepareGrant,
  prepareRenewal,
  prepareReport,
  prepareResolve,
  prepareRevoke,
  prepareUserRenewal,
} from './prepared-lineage.ts';
import {
  prepareAbandoned,
  prepareClear,
  prepareConsume,
  prepareHostToken,
  prepareIntent,
  preparePrune,
  prepareResult,
  prepareStatements,
  prepareToken,
} from './prepared.ts';
import type { RevokeRequest } from './revocation-decisions.ts';
import type { UserRenewalRequest } from './user-decisions.ts';
import type { FromWorker, WorkerTask } from './sqlite-messages.ts';
import type { WriterRole } from './sqlite-open.ts';
import { SqliteReader } from './sqlite-reader.ts';
import type { Store, StoreLoad, StoreReader } from './store.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  /** See `sqlite-open.ts`. */
  readonly role: WriterRole;
  /** Make the store if there is none. Default: a missing store is an error. */
  readonly create?: boolean;
  /** Requests that may wait for the writer. Default 4096. */
  readonly queueLimit?: number;
}

const DEFAULT_QUEUE_LIMIT = 4096;

/** @throws StoreError */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, role, create = false, queueLimit = DEFAULT_QUEUE_LIMIT } = options;
  const worker = await startTask({ task: 'write', options: { path, role, create } });
  const writer = new GroupWriter(worker, queueLimit);
  try {
    return new SqliteStore(path, writer);
  } catch (error) {
    await writer.close();
    throw error;
  }
}

/** For commands that only read, beside a running server or without one. @throws StoreError */
export async function openSqliteReader(path: string): Promise<StoreReader> {
  return new SqliteReader(path, backUp);
}

async function backUp(source: string, target: string): Promise<void> {
  const worker = await startTask({ task: 'backup', source, target });
  await worker.terminate();
}

/** Resolves when the worker says `done`. @throws StoreError what it says instead */
async function startTask(task: WorkerTask): Promise<Worker> {
  const worker = startWorker('sqlite-worker', task);
  const message = await firstMessage(worker);
  if (message === 'done') return worker;
  await worker.terminate();
  throw 'fault' in message ? StoreError.revive(message.fault) : new StoreError('store-failed', 'No answer.');
}

async function firstMessage(worker: Worker): Promise<FromWorker> {
  try {
    const [message] = (await Promise.race([once(worker, 'message'), failedStart(worker)])) as [FromWorker];
    return message;
  } catch (cause) {
    throw cause instanceof StoreError ? cause : new StoreError('store-failed', 'The store did not start.', { cause });
  }
}

/** `once` rejects on `error` itself; a worker that only exits would be waited for in vain. */
async function failedStart(worker: Worker): Promise<never> {
  await once(worker, 'exit');
  throw new StoreError('store-failed', 'The thread of the store ended at its start.');
}

class SqliteStore extends SqliteReader implements Store {
  readonly #writer: GroupWriter;

  constructor(path: string, writer: GroupWriter) {
    super(path, backUp);
    this.#writer = writer;
  }

  async recordToken(request: TokenRequest) {
    return this.#writer.submit('recordToken', prepareToken(request));
  }

  async consumeToken(request: ConsumeRequest) {
    return this.#writer.submit('consumeToken', prepareConsume(request));
  }

  async recordHostToken(request: HostTokenRequest) {
    return this.#writer.submit('recordHostToken', prepareHostToken(request));
  }

  async recordIntent(intent: IssuanceIntent) {
    return this.#writer.submit('recordIntent', prepareIntent(intent));
  }

  async recordResult(result: IssuanceResult) {
    return this.#writer.submit('recordResult', prepareResult(result));
  }

  async abandonIntent(intent: AbandonedIntent) {
    return this.#writer.submit('abandonIntent', prepareAbandoned(intent));
  }

  async clearHost(request: ClearHostRequest) {
    return this.#writer.submit('clearHost', prepareClear(request));
  }

  async recordRenewal(request: RenewalRequest) {
    return this.#writer.submit('recordRenewal', prepareRenewal(request));
  }

  async recordUserRenewal(request: UserRenewalRequest) {
    return this.#writer.submit('recordUserRenewal', prepareUserRenewal(request));
  }

  async recordReport(request: ReportRequest) {
    return this.#writer.submit('recordReport', prepareReport(request));
  }

  async resolveLineage(request: ResolveRequest) {
    return this.#writer.submit('resolveLineage', prepareResolve(request));
  }

  async makeGrant(request: GrantRequest) {
    return this.#writer.submit('makeGrant', prepareGrant(request));
  }

  async endGrant(request: EndGrantRequest) {
    return this.#writer.submit('endGrant', prepareEndGrant(request));
  }

  async revoke(request: RevokeRequest) {
    return this.#writer.submit('revoke', prepareRevoke(request));
  }

  async rotate(request: RotationRequest) {
    return this.#writer.submit('rotate', { ...request, audit: prepareNote(request.audit) });
  }

  async appendAudit(statements: readonly AuditStatement[]) {
    return this.#writer.submit('appendAudit', prepareStatements(statements));
  }

  async prune(request: PruneRequest) {
    return this.#writer.submit('prune', preparePrune(request));
  }

  get load(): StoreLoad {
    return { pending: this.#writer.pending, limit: this.#writer.limit };
  }

  /** The reader first, so that the writer is the last and folds the log into the file. */
  override async close(): Promise<void> {
    await super.close();
    await this.#writer.close();
  }
}
