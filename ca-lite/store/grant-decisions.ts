/** Grants: an administrator's permission to renew after expiry, for a time and a number of uses (docs/lineage.md). */
import type { AuditNote } from '../audit/entry.ts';
import type { Decision } from './decisions.ts';

export type GrantKind = 'host' | 'user' | 'serial' | 'lineage';

export interface GrantRequest {
  readonly kind: GrantKind;
  /** A name of the host, the user's key ID, a decimal serial, or a lineage. */
  readonly value: string;
  /** 1 to {@link MAX_GRANT_USES}. */
  readonly uses: number;
  /** Epoch seconds, after `now`. */
  readonly expiresAt: bigint;
  readonly now: bigint;
  readonly createdBy: string;
  readonly audit: AuditNote;
}
export type GrantDecision = Decision<never> & { readonly grant: bigint };

export interface EndGrantRequest {
  readonly grant: bigint;
  readonly now: bigint;
  readonly endedBy: string;
  readonly audit: AuditNote;
}
/** `grant-over`: ended, used up or expired already. */
export type EndGrantRefusal = 'grant-unknown' | 'grant-over';

export interface GrantRecord {
  readonly grant: bigint;
  readonly kind: GrantKind;
  readonly value: string;
  readonly uses: number;
  readonly usesLeft: number;
  readonly expiresAt: bigint;
  readonly createdAt: bigint;
  readonly createdBy: string;
  readonly endedAt: bigint | null;
  readonly endedBy: string | null;
}

export const MAX_GRANT_USES = 100_000;
