/** What is told when the CA states something that is not taken over: what happened, why, and what to do next. */
import { CaError, type CaErrorCode } from './ca-error.ts';
import type { KrlFault } from './krl-verdict.ts';
import type { TrustFault } from './trust-verdict.ts';

type Fault = TrustFault | KrlFault;

const KEPT = 'Nothing was changed: what was trusted and revoked before stays.';
const LOOK = `${KEPT} The administrator of the CA looks at its log; if this goes on, somebody may be posing as the CA.`;

interface Explanation {
  readonly code: CaErrorCode;
  readonly why: string;
  readonly advice: string;
}

const refused = (why: string): Explanation => ({ code: 'statement-refused', why, advice: LOOK });
const older = (why: string): Explanation => ({
  code: 'statement-older',
  why,
  advice: `${KEPT} If the CA was restored from a backup of before, take over its present state on purpose: countersign bootstrap, with the same address and fingerprint as before. Otherwise somebody replays what the CA said earlier.`,
});

const explanations: Readonly<Record<Fault, Explanation>> = {
  unsigned: refused('it has no signature that can be read'),
  'signature-invalid': refused('its signature is not for these bytes, or for another purpose'),
  'signer-not-valid-now': {
    code: 'statement-refused',
    why: 'the key that signed it is not valid now, by the clock of this machine',
    advice: `${KEPT} Check the clock here (date -u) and at the CA.`,
  },
  'signer-untrusted': {
    code: 'ca-keys-changed',
    why: 'no host CA key that is trusted here vouches for its signer',
    advice: `${KEPT} Either this is not the CA, or it changed its host CA key while this machine was away. In that case its administrator can tell the new key: trust it with countersign bootstrap, the same address and fingerprint as before; a host then enrols again: countersign host enroll (the administrator clears it first: countersign-ca hosts clear NAME).`,
  },
  'payload-malformed': refused('it is not what the protocol says; a newer CA may need a newer countersign'),
  'keys-unusable': refused(
    'it lists keys that cannot be trusted together, or are of a kind that this version does not know',
  ),
  malformed: {
    code: 'krl-unusable',
    why: 'it cannot be read to its end',
    advice: `${KEPT} sshd never saw it. The administrator of the CA looks at its log.`,
  },
  older: older('its number is smaller than that of the last one that was taken over'),
  'number-reused': older('it has the number of the last one that was taken over, and lists other keys'),
};

export function statementError(what: string, fault: Fault, url: string): CaError {
  const { code, why, advice } = explanations[fault];
  const concernsTime = fault === 'signer-not-valid-now';
  return new CaError(code, `${what} of ${url} was not taken over: ${why}`, { advice, concernsTime });
}
