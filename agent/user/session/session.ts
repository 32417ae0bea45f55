/**
 * One sign-in that lasts: its key, its certificate, and what brings the next one. The key stays the same for the whole session: the nonce of the
 * sign-in commits to it, and a refreshed ID token with that nonce is good for no other key.
 */
import type { Certificate } from '#openssh/certificate.ts';
import type { BoundKey } from '../login/key-binding.ts';
import type { Provisioner } from '../login/provisioner.ts';

/** Where a session belongs. */
export interface SessionPlace {
  /** Absolute; holds the trusted CA. */
  readonly stateDirectory: string;
  /** A file with PEM certificates to trust at the provider too. */
  readonly providerCa?: string;
}

export interface HeldCertificate {
  readonly certificate: Certificate;
  /** Epoch milliseconds. */
  readonly obtainedAt: number;
}

export interface RenewalTrouble {
  readonly code: string;
  readonly message: string;
  readonly advice?: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** In a row. */
  readonly failures: number;
  /** Nothing gets better until somebody signs in, or the operator of the CA acts. */
  readonly needsPerson: boolean;
  /** Epoch milliseconds; undefined: no more attempts. */
  readonly retryAt: number | undefined;
}

export interface Session {
  readonly id: string;
  readonly place: SessionPlace;
  readonly caUrl: string;
  readonly provisionerName: string;
  /** Epoch milliseconds. */
  readonly signedInAt: number;
  readonly key: BoundKey;
  /** Whether the sign-in was bound to the key: then a refreshed ID token is good for this key alone. */
  readonly isBound: boolean;
  /** As the CA told last; undefined after a restart until it was asked. */
  readonly provisioner?: Provisioner;
  readonly held?: HeldCertificate;
  readonly refreshToken?: string;
  /** The provider refreshes in a way that the CA does not take: the token is kept to be revoked, no more. */
  readonly refreshUnusable?: boolean;
  readonly trouble?: RenewalTrouble | undefined;
  readonly storedIn: 'keychain' | 'memory';
}
