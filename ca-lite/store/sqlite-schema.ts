/**
 * The tables, in versioned steps. `user_version` counts the steps that were taken; `application_id` says that the file
 * is ours. A step is never edited once released: add another.
 *
 * What makes it flat from 10^4 to 10^7 certificates: rows are appended in order of issue, each query has an index that
 * ends with that order, nothing hot counts or scans, and what grows without bound (certificates, audit) is never
 * updated but for the one change from `intended` to `issued`.
 *
 * Serials are 8 bytes big-endian, so that they sort and never pass through a double. Times are epoch seconds.
 */
import { StoreError } from './errors.ts';
import { type Connection, single } from './sqlite-connection.ts';
import { renewalStep } from './sqlite-schema-renewal.ts';
import { userStep } from './sqlite-schema-users.ts';

/** "CSgn". */
const APPLICATION_ID = 0x4353676en;

const migrations: readonly string[] = [
  `
  PRAGMA application_id = ${APPLICATION_ID};

  -- One row: the head of the audit chain, and how far expired identifiers have been forgotten.
  CREATE TABLE ledger (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    audit_count INTEGER NOT NULL,
    audit_hash BLOB NOT NULL CHECK (length(audit_hash) = 32),
    pruned_through INTEGER NOT NULL
  ) STRICT;
  INSERT INTO ledger VALUES (1, 0, zeroblob(32), -1);

  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT NOT NULL,
    type TEXT,
    name TEXT,
    serial BLOB,
    key_fingerprint TEXT,
    provisioner TEXT,
    requester TEXT,
    actor TEXT,
    request_id TEXT,
    details TEXT NOT NULL,
    hash BLOB NOT NULL
  ) STRICT;
  CREATE INDEX audit_action ON audit (action);
  CREATE INDEX audit_not_allowed ON audit (outcome) WHERE outcome <> 'allowed';
  CREATE INDEX audit_name ON audit (name) WHERE name IS NOT NULL;
  CREATE INDEX audit_serial ON audit (serial) WHERE serial IS NOT NULL;
  -- Against mistakes, not against attackers: those the chain is for.
  CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

  CREATE TABLE single_use (
    kind TEXT NOT NULL CHECK (kind IN ('nonce', 'token')),
    id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('outstanding', 'used')),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX single_use_expiry ON single_use (expires_at);

  CREATE TABLE hosts (
    id INTEGER PRIMARY KEY,
    enrolment TEXT NOT NULL,
    names TEXT NOT NULL,
    addresses TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'enrolled', 'cleared')),
    vouched_by TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    cleared_at INTEGER,
    serial BLOB
  ) STRICT;
  CREATE INDEX hosts_key ON hosts (key_fingerprint);
  CREATE INDEX hosts_not_enrolled ON hosts (state) WHERE state <> 'enrolled';
  CREATE TABLE host_names (
    name TEXT NOT NULL,
    host_id INTEGER NOT NULL,
    PRIMARY KEY (name, host_id)
  ) STRICT, WITHOUT ROWID;
  -- Only of hosts that are pending or enrolled: its key is what trust on first use holds unique.
  CREATE TABLE host_addresses (
    address TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    host_id INTEGER NOT NULL,
    PRIMARY KEY (address, key_fingerprint)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX host_addresses_host ON host_addresses (host_id);

  CREATE TABLE certificates (
    id INTEGER PRIMARY KEY,
    serial BLOB NOT NULL UNIQUE CHECK (length(serial) = 8),
    type TEXT NOT NULL CHECK (type IN ('user', 'host')),
    state TEXT NOT NULL CHECK (state IN ('intended', 'issued', 'abandoned')),
    key_fingerprint TEXT NOT NULL,
    key_id TEXT NOT NULL,
    principals TEXT NOT NULL,
    valid_after INTEGER NOT NULL,
    valid_before INTEGER NOT NULL CHECK (valid_before > valid_after),
    lineage TEXT,
    predecessor BLOB,
    provisioner TEXT NOT NULL,
    requester TEXT NOT NULL,
    host_id INTEGER,
    intended_at INTEGER NOT NULL,
    finished_at INTEGER,
    signed_bytes BLOB NOT NULL,
    -- What follows signed_bytes in the certificate.
    signature BLOB,
    CHECK ((state = 'issued') = (signature IS NOT NULL))
  ) STRICT;
  CREATE INDEX certificates_key ON certificates (key_fingerprint);
  CREATE INDEX certificates_type ON certificates (type);
  CREATE INDEX certificates_unfinished ON certificates (state) WHERE state <> 'issued';
  CREATE INDEX certificates_lineage ON certificates (lineage) WHERE lineage IS NOT NULL;
  -- What a certificate is found by: its key ID and its principals, which for a host are mostly the same.
  CREATE TABLE certificate_names (
    name TEXT NOT NULL,
    certificate_id INTEGER NOT NULL,
    PRIMARY KEY (name, certificate_id)
  ) STRICT, WITHOUT ROWID;
  `,
  renewalStep,
  userStep,
];

/** The version that this program reads and writes. */
export const schemaVersion = BigInt(migrations.length);

/**
 * How many steps the store is behind: 0 when it is up to date, all of them when the file is empty.
 *
 * @throws StoreError `store-foreign`, `store-newer`
 */
export function stepsBehind(connection: Connection): bigint {
  const version = single(connection, 'PRAGMA user_version') as bigint;
  if (version > schemaVersion) throw otherSchema(version);
  const ours = single(connection, 'PRAGMA application_id') === APPLICATION_ID;
  if (!ours && !(version === 0n && single(connection, 'SELECT count(*) FROM sqlite_schema') === 0n)) {
    throw new StoreError('store-foreign', `${connection.path} is a database, but not a store of Countersign.`);
  }
  return schemaVersion - version;
}

/** Inside each transaction: another process may have migrated the store meanwhile. @throws StoreError `store-newer` */
export function checkVersion(connection: Connection): void {
  const version = single(connection, 'PRAGMA user_version') as bigint;
  if (version !== schemaVersion) throw otherSchema(version);
}

/** The mode is kept in the file. @throws StoreError `store-io` when the file system cannot do it */
export function ensureWal(connection: Connection): void {
  if (single(connection, 'PRAGMA journal_mode') === 'wal') return;
  if (single(connection, 'PRAGMA journal_mode = WAL') === 'wal') return;
  throw new StoreError(
    'store-io',
    'The file system of the store has no shared memory, as network file systems do not.',
  );
}

/** Takes the missing steps, all or none. The caller holds the server's lock. */
export function migrate(connection: Connection): void {
  connection.exec('BEGIN IMMEDIATE');
  try {
    const behind = Number(stepsBehind(connection));
    for (const step of migrations.slice(migrations.length - behind)) connection.exec(step);
    connection.exec(`PRAGMA user_version = ${schemaVersion}; COMMIT`);
  } catch (error) {
    if (connection.inTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

function otherSchema(version: bigint): StoreError {
  const what = `The store has schema ${version}, this program works with ${schemaVersion}.`;
  return new StoreError(version > schemaVersion ? 'store-newer' : 'store-older', what);
}
