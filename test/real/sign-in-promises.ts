/**
 * What a sign-in promises against attackers, as data: docs/oidc.md and docs/login.md say it in prose, `holds()` is the test of one, and
 * `sign-in-promises.test.ts` fails for a promise that has none.
 */
import { holderOf } from '#test/support/promise-gate.ts';

export const promises = {
  // at the CA: whose token it is
  'other-client': 'an ID token for another client is refused',
  'other-issuer': 'an ID token of another issuer is refused, and so is one that only claims to be of ours',
  'no-signature': 'an ID token without a signature (alg none) is refused',
  'hmac-with-public-key': 'an ID token signed with HMAC and the public key as secret is refused',
  'other-bytes': 'an ID token with another payload under its signature is refused',
  'token-from-the-past': 'an expired ID token is refused',
  'token-from-the-future': 'an ID token from the future is refused',
  'token-in-parts': 'what is no ID token at all is refused, and none of it comes back',

  // at the CA: whose key it is
  replayed: 'an ID token works once',
  'replayed-at-once': 'an ID token works once, also when it comes in several requests at once',
  'replayed-in-other-letters':
    'an ID token whose signature is written with other letters for the same bytes is the same token',
  'other-nonce': 'an ID token whose nonce is for another key is refused',
  'stolen-token': 'a stolen ID token is worthless with another key, and with its own key without the private half',
  'no-host-certificate': 'an ID token never makes a host certificate',

  // at the CA: who it is
  'unverified-email':
    'an e-mail address that the provider did not verify is refused, and so is one that says "true" as a text',
  'other-domain': 'an e-mail address of a domain that only ends like ours, or holds two @, is refused',
  'missing-acr':
    'a sign-in without the authentication context (acr) that is asked for is refused, and so is another one',
  'hostile-principal':
    'a claim with a comma, a line break, a NUL, a wildcard, white space or nothing in it becomes no principal, and no part of it does',
  'inherited-claim': 'a claim of the name of what every object has is no claim',
  'groups-as-text': 'a groups claim that is a text is refused, also where it is the text of the group',
  'many-groups': 'ten thousand groups are refused, in an ID token that fits and in one that does not',
  'principal-outside': 'a principal that the CA does not allow to users is refused',
  'hostile-key-id':
    'what is in an e-mail address does not break the key ID, which ends up in the logs of many machines',

  // at the CA: the provider
  'key-set-huge': 'a key set of 10 MB is not read to its end',
  'provider-html': 'a provider whose discovery document or key set is a page of HTML is not believed',
  'provider-down': 'a provider that is down, or broken, is told as such, with when to try again',
  'provider-hangs': 'while a provider hangs, sign-ins at another one go on',
  'provider-given-up': 'a provider that hangs is given up',
  'key-rotation': 'a new key of the provider is fetched once it is seen, and the old one no longer counts',
  'unknown-keys-flood': 'a flood of ID tokens with invented key IDs does not make the CA flood the provider',

  // at the agent: the answer
  'wrong-state': 'an answer with another state is turned away, and ends nothing',
  'code-injected': 'an answer with the code of somebody else is refused: PKCE',
  'answer-other-nonce': 'an answer with the code of a request with another nonce is thrown away',
  'mix-up': 'an answer of another issuer, of none, or of two is thrown away (RFC 9207)',
  'provider-says-no': 'an answer that says no is told',
  'caller-gives-up': 'an answer is waited for until the caller gives up, with his reason',

  // at the agent: the machine
  'port-taken': 'another program that is at the fixed port first gets no answer, and is told of',
  'port-taken-elsewhere': 'another program at the other address of localhost is as good as one at the same',
  'port-not-shared': 'no other program can listen where the agent listens',
  'garbage-at-the-port': 'garbage, other methods, other hosts and doubled parameters at the listener end nothing',
  'silent-connections': 'programs that connect and say nothing do not keep the browser out',
  'one-answer': 'nothing is answered after the answer',

  // at the agent: the provider
  'discovery-html': 'a provider that answers HTML is none',
  'discovery-hangs': 'a provider that hangs is given up',
  'discovery-huge': 'a provider that sends without end is given up',
  'discovery-down': 'a provider that is down is told',
  'discovery-other-issuer': 'a provider that claims to be another issuer is not believed',
  'login-page-without-tls': 'a provider that names a login page without TLS opens no browser',
  'token-endpoint-html': 'a token endpoint that answers HTML gives no token',
  'token-endpoint-hangs': 'a token endpoint that hangs is given up',
  'token-endpoint-huge': 'a token endpoint that sends without end is given up',
  'token-endpoint-down': 'a token endpoint that hangs up is told',
  'token-endpoint-moves': 'a token endpoint that sends elsewhere is not followed: the code goes nowhere else',
} as const;

/** A test that holds a sign-in to a promise. */
export const holds = holderOf(promises);
