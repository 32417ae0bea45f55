/**
 * What a dial-back can come to: a closed union of codes. Nothing that the remote side sent is in it, but the public key it
 * proved, so that an outcome may go into a reply, a log or the audit trail as it is.
 */
import type { DialableAddress } from '../address/dialable.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { KeyType } from '#openssh/key-type.ts';
import type { HostKeyAlgorithm } from './host-key-algorithm.ts';

/** A host key whose private half made the exchange signature of a completed key exchange with us. */
export interface ProvenKey {
  readonly type: KeyType;
  /** The public key as the host sent it; checked to be its one canonical encoding. */
  readonly blob: Uint8Array;
  readonly fingerprint: Fingerprint;
  /** The signature algorithm of the exchange. */
  readonly algorithm: HostKeyAlgorithm;
}

export type UnreachableCause = 'refused' | 'timed-out' | 'reset' | 'no-route';

/** How one connection went wrong. */
export type ExchangeFailure =
  { readonly code: 'unreachable'; readonly cause: UnreachableCause } | { readonly code: ExchangeFailureCode };

export type ExchangeFailureCode =
  | 'not-ssh' // closed, or something other than an SSH 2 version line came
  | 'handshake-failed' // the exchange did not complete: nothing in common, closed, malformed, a malformed key
  | 'signature-invalid' // it showed a key, and no valid signature by that key followed
  | 'too-slow'
  | 'too-much-data'
  | 'aborted';

/** How a dial-back of one address went wrong. */
export type DialBackFailure =
  ExchangeFailure | { readonly code: 'key-not-found' } | { readonly code: 'dial-back-busy' };

export interface DialBackFacts {
  readonly address: DialableAddress;
  readonly port: number;
  /** TCP connections tried. */
  readonly connections: number;
  /** For all connections together, without the wait for a free slot. */
  readonly elapsedMilliseconds: number;
}

export type DialBackResult = DialBackFacts &
  (({ readonly code: 'proven' } & { readonly key: ProvenKey }) | DialBackFailure);
export type DialBackCode = DialBackResult['code'];

export type ProvenResult = Extract<DialBackResult, { code: 'proven' }>;
export type FailedResult = Exclude<DialBackResult, ProvenResult>;

/** Short, for a table; `dial-back-busy` is the only one where the same request may well succeed a moment later. */
const explanations: Readonly<Record<Exclude<DialBackCode, 'proven' | 'unreachable'>, string>> = {
  'not-ssh':
    'something answered, but not an SSH 2 server, or it closed the connection at once. Check the port, and whether sshd turns the CA away (MaxStartups, PerSourcePenalties, a firewall).',
  'handshake-failed':
    'the SSH key exchange did not complete. Check that sshd offers one of curve25519-sha256, ecdh-sha2-nistp256 or diffie-hellman-group14-sha256, and look at its log.',
  'signature-invalid':
    'the server showed a host key but did not prove that it has the private key. If this is your host, something answers in its place.',
  'key-not-found':
    'none of the host keys that the server proved has the fingerprint in the request. Check that sshd serves this key (HostKey in sshd_config) and that the address is the host itself.',
  'too-slow':
    'the server answered too slowly to complete a key exchange in the time allowed. Try again when it is less busy.',
  'too-much-data':
    'the server sent more than a key exchange needs. Shorten what it sends before its version line, if it does so.',
  'dial-back-busy': 'too many dial-backs are under way for this requester or this address. Try again in a few seconds.',
  aborted: 'the request was called off before the dial-back ended.',
};

const unreachable: Readonly<Record<UnreachableCause, string>> = {
  refused: 'nothing listens there. Check that sshd runs and listens on this address and port.',
  'timed-out': 'no answer came. Check that a firewall lets the CA connect.',
  reset: 'the connection was reset. Check firewalls between the CA and the host.',
  'no-route': 'there is no route from the CA. Check the network of the CA.',
};

/** One sentence or two for a person: what happened, and what to do about it. */
export function explainFailure(result: FailedResult): string {
  const why = result.code === 'unreachable' ? unreachable[result.cause] : explanations[result.code];
  return `The CA dialled back ${formatTarget(result)}: ${why}`;
}

function formatTarget({ address, port }: DialBackFacts): string {
  return address.family === 6 ? `[${address.text}]:${port}` : `${address.text}:${port}`;
}
