/** Revocations: what is revoked, and the KRL's number, which grows with each transaction that revokes (docs/revocation.md). */
import type { AuditNote } from '../audit/entry.ts';
import type { SingleUseRefusal, TokenUse } from './decisions.ts';

export type RevocationTarget =
  /** One certificate. Of a lineage's head it ends the lineage, with the successors that are not in use yet. */
  | { readonly kind: 'serial'; readonly serial: bigint }
  /** A key for ever, whatever certificates it has or asks for; and the lineages whose head it is. */
  | { readonly kind: 'key'; readonly keyFingerprint: string }
  /** Each certificate of a host by this name that is still valid, and their lineages. */
  | { readonly kind: 'host'; readonly name: string }
  /** Each certificate with this key ID that is still valid. */
  | { readonly kind: 'user'; readonly keyId: string };

export interface RevokeRequest {
  readonly target: RevocationTarget;
  /** Plain text, 0 to {@link MAX_REASON_LENGTH} characters. */
  readonly reason: string;
  readonly now: bigint;
  readonly revokedBy: string;
  /** Of a certificate that revokes itself: spent in the same transaction. */
  readonly token: TokenUse | null;
  readonly audit: AuditNote;
}

/** `nothing-to-revoke`: no such certificate. `already-revoked`: nothing was left to do. */
export type RevokeRefusal = SingleUseRefusal | 'nothing-to-revoke' | 'already-revoked';
export type RevokeDecision =
  | {
      readonly accepted: true;
      readonly krlNumber: bigint;
      /** How many certificates are newly in the KRL by serial; a key counts none. */
      readonly certificates: number;
      readonly audit: bigint;
    }
  | { readonly accepted: false; readonly refusal: RevokeRefusal; readonly audit: bigint };

export interface KrlState {
  /** 0 before anything was revoked. */
  readonly number: bigint;
  /** Epoch seconds of the last change; 0 before. */
  readonly changedAt: bigint;
}

/** A page of revocations. */
export interface RevokedSerials {
  /** The last one's place in the order of revocations, from 1; what the next page begins after. */
  readonly upTo: bigint;
  /** By the CA that certified them (see `krlCas`), in no order. */
  readonly byCa: ReadonlyMap<bigint, BigUint64Array>;
}
export interface RevokedKey {
  readonly row: bigint;
  readonly keyFingerprint: string;
}

export const MAX_REASON_LENGTH = 512;
