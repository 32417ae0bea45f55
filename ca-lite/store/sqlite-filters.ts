/** Which index answers a filter, and what is left to check row by row. The first field that has an index drives. */
import type { AuditFilter, CertificateFilter, HostFilter } from './records.ts';
import type { Condition, Listing } from './sqlite-pages.ts';
import { encodeSerial } from './sqlite-values.ts';

type Value = string | bigint | Uint8Array | undefined;

/** A field of a filter that was given. */
interface Field {
  /** On the columns of the table, which is `t`. */
  readonly condition: Condition;
  /** How an index finds the rows; null when none does. */
  readonly driver: Condition | null;
  /** The table that serves as index, when it is not the table itself. */
  readonly index?: NonNullable<Listing['index']>;
  /** Whether what the driver finds must still be held against the condition. */
  readonly inexact?: boolean;
}

const certificateNames = { table: 'certificate_names', key: 'certificate_id' };
const hostNames = { table: 'host_names', key: 'host_id' };

export function certificateListing(filter: CertificateFilter): Listing {
  const { principal, lineage, keyFingerprint, keyId, identity, state, type, validAt } = filter;
  const hasPrincipal = 'EXISTS (SELECT 1 FROM json_each(t.principals) WHERE value = ?)';
  return listing('certificates', 'id', [
    indexed('lineage = ?', lineage),
    indexed('key_fingerprint = ?', keyFingerprint),
    found('name = ?', certificateNames, keyId, 't.key_id = ?'),
    found('name = ?', certificateNames, identity, 't.identity = ?'),
    found('name = ?', certificateNames, principal, hasPrincipal),
    state === 'issued' ? unindexed('state = ?', state) : indexed(`state = ? AND state <> 'issued'`, state),
    indexed('type = ?', type),
    unindexed('valid_after <= ?', validAt),
    unindexed('valid_before > ?', validAt),
  ]);
}

export function hostListing({ name, keyFingerprint, state }: HostFilter): Listing {
  const hasName = 'EXISTS (SELECT 1 FROM json_each(t.names) WHERE value = ?)';
  return listing('hosts', 'id', [
    found('name = ?', hostNames, name, hasName),
    indexed('key_fingerprint = ?', keyFingerprint),
    state === 'enrolled' ? unindexed('state = ?', state) : indexed(`state = ? AND state <> 'enrolled'`, state),
  ]);
}

export function auditListing({ serial, name, outcome, action }: AuditFilter): Listing {
  return listing('audit', 'sequence', [
    indexed('serial = ?', serial === undefined ? undefined : encodeSerial(serial)),
    indexed('name = ?', name),
    outcome === 'allowed'
      ? unindexed('outcome = ?', outcome)
      : indexed(`outcome = ? AND outcome <> 'allowed'`, outcome),
    indexed('action = ?', action),
  ]);
}

function indexed(sql: string, value: Value): Field | null {
  if (value === undefined) return null;
  const condition = { sql, values: [value] };
  return { condition, driver: condition };
}

function unindexed(sql: string, value: Value): Field | null {
  return value === undefined ? null : { condition: { sql, values: [value] }, driver: null };
}

/** Found through another table, and held against the row's own columns. */
function found(driver: string, index: NonNullable<Listing['index']>, value: Value, condition: string): Field | null {
  if (value === undefined) return null;
  const values = [value];
  return { condition: { sql: condition, values }, driver: { sql: driver, values }, index, inexact: true };
}

function listing(table: string, key: string, fields: readonly (Field | null)[]): Listing {
  const given = fields.filter((field) => field !== null);
  const driving = given.find((field) => field.driver !== null);
  return {
    table,
    key,
    ...(driving?.index === undefined ? {} : { index: driving.index }),
    driver: driving?.driver ?? null,
    rest: given.filter((field) => field !== driving || field.inexact).map(({ condition }) => condition),
    order: 'newest-first',
  };
}
