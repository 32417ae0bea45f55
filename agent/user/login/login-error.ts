/** Failures of a sign-in, up to the certificate in the agent. What the CA itself refuses is a `CaError`. */
import { Failure } from '../../failure.ts';

export type LoginErrorCode =
  | 'no-provisioner' // the CA has no sign-in, or none of that name
  | 'provisioner-ambiguous' // several, and none was named
  | 'provisioner-unusable' // the CA describes it in a way that must not be followed
  | 'loopback-taken' // another program holds each port that the sign-in may come back to
  | 'sign-in-timeout' // nobody signed in in time
  | 'sign-in-refused' // the identity provider or the person said no
  | 'answer-not-ours' // the answer does not belong to this sign-in: wrong issuer, state or nonce
  | 'provider-unreachable'
  | 'provider-untrusted' // TLS
  | 'provider-invalid' // what it answered is not OpenID Connect
  | 'device-flow-unavailable'
  | 'session-ended' // the provider does not take the refresh token any more
  | 'refresh-unusable' // the provider refreshes in a way that gives no certificate here
  | 'sign-in-gone' // it was cancelled, or another took its place
  | 'nonce-missing' // the ID token is not bound to the key
  | 'certificate-not-ours' // the CA answered with another certificate than a sign-in gets
  | 'agent-refused'; // the agent did not take the key, or lost the certificate

export class LoginError extends Failure<LoginErrorCode> {
  override readonly name = 'LoginError';
}
