/** All that is known about one login, before anything is made of it. */
import type { Certificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { SshSettings } from './ssh-settings.ts';
import type { SshTrace } from './ssh-trace.ts';

export interface TrustedCa {
  readonly url: string;
  readonly hostCas: ReadonlySet<Fingerprint>;
  readonly userCas: ReadonlySet<Fingerprint>;
}

export type AgentFacts =
  /** ssh is told to use none. */
  | { readonly kind: 'none' }
  /** Its path holds what only ssh can fill in. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'silent'; readonly socket: string }
  | {
      readonly kind: 'there';
      readonly socket: string;
      readonly identities: number;
      /** Those of the trusted CA. */
      readonly certificates: readonly Certificate[];
    };

export interface LoginFacts {
  readonly host: string;
  readonly settings: SshSettings;
  readonly agent: AgentFacts;
  /** Where another agent of this machine is that has certificates of the CA, when the one that ssh uses has none. */
  readonly elsewhere: string | undefined;
  readonly ca: TrustedCa | undefined;
  /** Epoch seconds, by the clock that is believed. */
  readonly now: bigint;
  /** What the CA says of a certificate; undefined while that is not known. */
  readonly isRevoked: ((certificate: Certificate) => boolean) | undefined;
  readonly trace: SshTrace;
  /** By the exit status of ssh. */
  readonly connected: boolean;
}
