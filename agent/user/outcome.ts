/**
 * What a request comes to: a reply message at once, or something to do first that the decision itself must not do.
 * `perform.ts` does it.
 */
import type { ListedIdentity } from '#openssh/agent-reply.ts';
import { encodeStatus } from '#openssh/agent-reply.ts';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { QuestionSubject } from './confirmation-queue.ts';
import type { Identity } from './identity.ts';
import type { Moment } from './moment.ts';

export type Effect =
  /** Sign outside this thread: slow algorithms, and devices. */
  | {
      readonly effect: 'sign';
      readonly identity: Identity;
      readonly algorithm: SignatureAlgorithm;
      readonly data: Uint8Array;
      readonly signed: () => void;
    }
  /** Ask the user; a no is a failure reply. */
  | { readonly effect: 'ask'; readonly subject: QuestionSubject; readonly allowed: (now: Moment) => Outcome }
  | { readonly effect: 'wait'; readonly untilMonotonicMs: number; readonly again: (now: Moment) => Outcome }
  /** Let the identity source try; then go on, whatever came of it. */
  | { readonly effect: 'provide'; readonly again: (now: Moment) => Outcome }
  /** Add the upstream agents' identities and reply. */
  | {
      readonly effect: 'list-upstreams';
      readonly reply: (upstream: readonly ListedIdentity[]) => Uint8Array;
    }
  /** Let the upstream agent that holds this key sign. */
  | {
      readonly effect: 'sign-upstream';
      readonly keyBlob: Uint8Array;
      readonly message: Uint8Array;
      readonly signed: () => void;
    };

export type Outcome = Uint8Array | Effect;

export const success: Uint8Array = encodeStatus('success');
export const failure: Uint8Array = encodeStatus('failure');
export const extensionFailure: Uint8Array = encodeStatus('extension-failure');
