/**
 * Step 2 of the schema: lineages and what was seen of them, hosts' reports, grants, revocations, CA keys.
 *
 * Flat at any size: a renewal reads and writes one row of each table, found by index. Certificates of a lineage are ordered by
 * their row: the head is `head_id`, what is above it waits for its first use, what is below is of the past.
 */
export const renewalStep = `
  -- The grant that a renewal after expiry used up, given back when the certificate does not come.
  ALTER TABLE certificates ADD COLUMN grant_id INTEGER;

  CREATE TABLE lineages (
    id INTEGER PRIMARY KEY,
    lineage TEXT NOT NULL UNIQUE,
    -- The key ID of its first certificate, and the key of its head: with these a new token for the same host joins it.
    name TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'revoked')),
    head BLOB NOT NULL,
    head_id INTEGER NOT NULL,
    -- The last certificate in use that came from a token: what a renewal's principals are decided from.
    basis BLOB NOT NULL,
    -- The first sign of the head's use: when by our clock, when by the host's, from where. Null: not seen yet.
    seen_at INTEGER,
    seen_signed_at INTEGER,
    seen_from TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX lineages_key ON lineages (key_fingerprint);
  CREATE INDEX lineages_not_active ON lineages (state) WHERE state <> 'active';

  -- Of lineages that were quarantined: which certificate was seen from where.
  CREATE TABLE sightings (
    lineage_id INTEGER NOT NULL,
    serial BLOB NOT NULL,
    requester TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (lineage_id, serial, requester)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE reports (
    lineage_id INTEGER PRIMARY KEY,
    serial BLOB NOT NULL,
    reported_at INTEGER NOT NULL,
    requester TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    trusted_host_cas TEXT NOT NULL,
    trusted_user_cas TEXT NOT NULL,
    krl_number INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE grants (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('host', 'user', 'serial', 'lineage')),
    value TEXT NOT NULL,
    uses INTEGER NOT NULL CHECK (uses > 0),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    ended_at INTEGER,
    ended_by TEXT
  ) STRICT;
  CREATE INDEX grants_value ON grants (kind, value);

  -- One row: the KRL's number grows by one with each transaction that revokes something.
  CREATE TABLE krl (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  INSERT INTO krl VALUES (1, 0, 0);
  CREATE TABLE krl_cas (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE) STRICT;
  -- Rows are appended and never changed: a KRL is built on from the last row that it holds.
  CREATE TABLE revoked_serials (
    id INTEGER PRIMARY KEY,
    serial BLOB NOT NULL UNIQUE CHECK (length(serial) = 8),
    ca_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revoked_by TEXT NOT NULL
  ) STRICT;
  CREATE TABLE revoked_keys (
    id INTEGER PRIMARY KEY,
    key_fingerprint TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revoked_by TEXT NOT NULL
  ) STRICT;

  CREATE TABLE ca_keys (
    id INTEGER PRIMARY KEY,
    type TEXT NOT NULL CHECK (type IN ('user', 'host')),
    key BLOB NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'current', 'old', 'retired')),
    -- The name of the file in secrets/.
    secret TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX ca_keys_one_current ON ca_keys (type) WHERE state = 'current';
  CREATE UNIQUE INDEX ca_keys_one_next ON ca_keys (type) WHERE state = 'next';
  -- One row: grows with each change of the keys that hosts and clients are to trust.
  CREATE TABLE trust (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT;
  INSERT INTO trust VALUES (1, 1);
`;
