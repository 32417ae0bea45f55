/**
 * What the enrolment of a host promises, as data: docs/enrolment-protocol.md says it in prose, `holds()` is the test of one, and
 * `promises.test.ts` fails for a promise that has none.
 */
import { holderOf } from '#test/support/promise-gate.ts';

export const promises = {
  // the journey
  'three-hosts': 'three hosts enrol, and ssh with one @cert-authority line connects to each without a question',
  'agent-enrols': 'countersign bootstrap and countersign host enroll are all that a host needs',
  'no-certificate-no-trust':
    'ssh with that line refuses a host without a certificate, and a host with the certificate of another',
  'all-key-types': 'Ed25519, ECDSA and RSA host keys enrol alike',
  'further-keys':
    'a second key of an enrolled host enrols when an enrolled key of the same names vouches for it, and not otherwise',
  'step-by-hand': 'the documented shell script enrols a host with curl, ssh-keygen and openssl alone',

  // DNS
  'name-elsewhere': 'a name that resolves to another address is refused',
  'name-unknown': 'a name that does not exist is refused',
  'name-incomplete': 'a name with an address that the request leaves out is refused',
  'name-alias': 'the addresses behind an alias (CNAME) count, and no others',
  'dns-silent': 'a name server that does not answer is a reason to refuse, not to wait for ever',
  'dns-changes': 'a name is resolved once: an answer that changes between check and dial changes nothing',

  // dial-back
  'second-address-other-key': 'a host with two addresses, of which one shows another key, is refused',
  'shown-not-owned': 'a server that shows a key it cannot sign with is refused',
  'key-not-served': 'a fingerprint that the host does not serve is refused',
  'key-replaced': 'a host that shows another key at the second dial-back is refused',
  'nothing-there': 'an address where nothing listens is refused',
  'not-ssh': 'a server that is no SSH server is refused, and nothing it said comes back',
  tarpit: 'a server that sends one byte a second is given up in time',
  flood: 'a server that floods is given up after a bounded number of bytes',

  'hang-up': 'a client that hangs up ends the dial-back that was made for it',

  // challenge and proof
  'proof-other-key': 'a proof by another key is refused, whichever key it names',
  'proof-other-words': 'a proof of other bytes or in another namespace is refused',
  'proof-certificate': 'a proof that names a certificate in place of the key is refused',
  'payload-altered': 'a challenge altered in any field is refused',
  'challenge-foreign': 'a challenge signed by anybody but this CA is refused',
  'challenge-expired': 'an expired challenge is refused',
  'challenge-twice': 'a challenge works once, also when it comes in several requests at once',

  // token
  'token-twice': 'a token works once, also when it comes in several requests at once',
  'token-other-key': 'a token certifies no other key than the proven one, and is not spent by trying',
  'token-other-name': 'a token certifies no other name and no user',
  'token-other-audience': 'a token for another CA or another operation is refused',
  'token-forged': 'a token that this CA did not sign, or did not record, is refused',
  'token-expired': 'an expired token is refused',

  // policy
  'policy-closed': 'a CA that was not told who may enrol lets nobody enrol',
  'policy-names': 'a name outside the policy is refused before anything is looked up',
  'policy-addresses': 'an address outside the policy is refused before anything is dialled',
  'policy-ports': 'a port outside the policy is refused',
  'policy-keys': 'a type or size of key outside the policy gets no certificate',
  'forbidden-addresses':
    'loopback, link-local, metadata and multicast addresses are never dialled, whatever the policy says',
  'own-address': 'the CA never dials itself',

  // trust on first use
  'first-use': 'a second first-enrolment is refused until an administrator clears the name, and then accepted',
  'name-taken': 'an enrolled name is not given to another key until an administrator clears it',

  // under load
  'many-at-once': '200 challenges at once from one requester are bounded, and another requester is served meanwhile',
  'slow-names-at-once': '200 challenges whose names resolve slowly do not keep another requester from being served',
  'refused-without-end': 'a requester that is refused without end has to wait, fills no log, and is alone in it',
} as const;

/** A test that holds the CA to a promise. */
export const holds = holderOf(promises);
