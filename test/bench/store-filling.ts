/**
 * Fills an SQLite store with certificates as years of renewals would: ten for each host, random serials, two audit entries each. Written
 * by SQL alone, a hundred times as fast as issuing them; the audit chain is not one, which nothing measured here looks at.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const CERTIFICATES_PER_HOST = 10;
const FIRST_TIME = 1_700_000_000;

/** A certificate in the store. */
export interface Known {
  readonly serial: bigint;
  readonly keyFingerprint: string;
  readonly keyId: string;
}

export function hostName(host: number): string {
  return `host${host}.fleet.example.com`;
}

/** @param path a store that was made and closed */
export function fillStore(path: string, certificates: number): void {
  using database = new DatabaseSync(path);
  const hosts = Math.max(1, Math.floor(certificates / CERTIFICATES_PER_HOST));
  database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY; BEGIN');
  // Indexes are made at the end, from sorted rows: row by row they cost ten times as much.
  const indexes = database
    .prepare(
      `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('certificates', 'audit', 'lineages')`,
    )
    .all() as unknown as { readonly name: string; readonly sql: string }[];
  for (const { name } of indexes) database.exec(`DROP INDEX ${name}`);
  database.exec(`
    CREATE TEMP TABLE host (id INTEGER PRIMARY KEY, name TEXT, address TEXT, key TEXT);
    INSERT INTO host
      WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < ${hosts - 1})
      SELECT n + 1 AS id, 'host' || n || '.fleet.example.com' AS name, '10.' || (n / 65536) || '.' || (n / 256 % 256) || '.' || (n % 256) AS address,
             'SHA256:' || substr(hex(randomblob(22)), 1, 43) AS key FROM n;
    INSERT INTO hosts (id, enrolment, names, addresses, key_fingerprint, state, first_seen, last_seen)
      SELECT id, id, json_array(name), json_array(address), key, 'enrolled', ${FIRST_TIME}, ${FIRST_TIME} FROM host;
    INSERT INTO host_names SELECT name, id FROM host ORDER BY name;
    INSERT INTO host_addresses SELECT address, key, id FROM host ORDER BY address;
    WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < ${certificates - 1})
    INSERT INTO certificates (serial, type, state, key_fingerprint, key_id, principals, valid_after, valid_before, lineage,
                              provisioner, requester, host_id, intended_at, finished_at, signed_bytes, signature)
      SELECT randomblob(8), 'host', 'issued', key, name, json_array(name, address), ${FIRST_TIME} + n, ${FIRST_TIME} + n + 86400,
             substr(key, 8, 22), 'hosts', address, id, ${FIRST_TIME} + n, ${FIRST_TIME} + n, randomblob(400), randomblob(83)
      FROM n CROSS JOIN host ON host.id = n % ${hosts} + 1;
    INSERT INTO lineages (lineage, name, key_fingerprint, state, head, head_id, basis, seen_at, seen_signed_at, seen_from,
                          created_at, changed_at)
      SELECT lineage, key_id, key_fingerprint, 'active', serial, id, serial, valid_after, valid_after, requester, valid_after, valid_after
      FROM certificates WHERE id > ${certificates - hosts};
    INSERT INTO certificate_names
      SELECT name, certificates.id FROM certificates CROSS JOIN host ON host.id = host_id UNION ALL
      SELECT address, certificates.id FROM certificates CROSS JOIN host ON host.id = host_id ORDER BY 1, 2;
    INSERT INTO audit (sequence, time, action, outcome, code, type, name, serial, provisioner, requester, details, hash)
      SELECT certificates.id * 2 - step.n, valid_after, iif(step.n = 1, 'certificate-intend', 'certificate-issue'), 'allowed', 'ok',
             'host', key_id, serial, provisioner, requester, json_object('principals', principals), randomblob(32)
      FROM certificates CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 0) AS step;
    UPDATE ledger SET audit_count = (SELECT max(sequence) FROM audit);
  `);
  for (const { sql } of indexes) database.exec(sql);
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  flush(path);
}

/** So that the disk is not still busy with the filling when something is measured. */
function flush(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Some of the certificates, evenly picked. */
export function knownOf(path: string, count: number): Known[] {
  using database = new DatabaseSync(path, { readOnly: true });
  const total = Number(database.prepare('SELECT max(id) AS total FROM certificates').get()?.['total']);
  const find = database.prepare('SELECT serial, key_fingerprint, key_id FROM certificates WHERE id = ?');
  return Array.from({ length: Math.min(count, total) }, (_, index) => {
    const row = find.get(Math.floor((index * total) / Math.min(count, total)) + 1);
    const serial = Buffer.from(row?.['serial'] as Uint8Array).readBigUInt64BE();
    return { serial, keyFingerprint: String(row?.['key_fingerprint']), keyId: String(row?.['key_id']) };
  });
}
