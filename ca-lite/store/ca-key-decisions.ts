/** The SSH CA keys over time (docs/rotation.md): published, switched to, kept for a while, retired. */
import type { CertificateType } from '#openssh/certificate.ts';
import type { AuditNote } from '../audit/entry.ts';

export type CaKeyState = 'next' | 'current' | 'old' | 'retired';

export interface CaKey {
  /** Blob of the public key. */
  readonly key: Uint8Array;
  readonly fingerprint: string;
  /** Where the private half is (`rotation/key-place.ts`): the name of the file in `secrets/` without its ending, or a key in a device. */
  readonly secret: string;
}

export interface CaKeyRecord extends CaKey {
  readonly type: CertificateType;
  readonly state: CaKeyState;
  readonly createdAt: bigint;
  readonly changedAt: bigint;
}

export interface CaKeysRecord {
  /** Grows with each change. */
  readonly number: number;
  /** Oldest first; none of a type whose key was never rotated. */
  readonly keys: readonly CaKeyRecord[];
}

export interface RotationRequest {
  readonly type: CertificateType;
  /**
   * `publish`: `next` becomes known, beside `current`, which is recorded at the first rotation. `switch`: the next key signs from now on.
   * `retire`: old keys are trusted no more. `withdraw`: takes `publish` back.
   */
  readonly step:
    | { readonly do: 'publish'; readonly current: CaKey; readonly next: CaKey }
    | { readonly do: 'switch' | 'retire' | 'withdraw' };
  /** Goes on although hosts have not reported the next key, or certificates of an old one are still valid. */
  readonly force: boolean;
  readonly now: bigint;
  readonly audit: AuditNote;
}

/** `hosts-not-ready`: of so many live hosts the last report does not trust the next key. `certificates-in-use`: of an old key. `key-known`: the key is, or
 * was, a CA key of this CA. */
export type RotationRefusal =
  'rotation-underway' | 'key-known' | 'no-next-key' | 'hosts-not-ready' | 'nothing-to-retire' | 'certificates-in-use';
export type RotationDecision =
  | { readonly accepted: true; readonly audit: bigint }
  | { readonly accepted: false; readonly refusal: RotationRefusal; readonly waiting: number; readonly audit: bigint };
