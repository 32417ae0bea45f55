/** What an authority allows one request to get: from a one-time token of ours, or from an ID token. The request may only agree with it. */
import { type CertificateOption, type CertificateType, flagOption } from '#openssh/certificate.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';

export interface CertificateGrant {
  readonly type: CertificateType;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** RFC 3339, a Go duration relative to now, or "" for what the policy says. */
  readonly validAfter: string;
  readonly validBefore: string;
  /** The fingerprint of the only key that may be certified; undefined: any. */
  readonly key: string | undefined;
  readonly criticalOptions: readonly CertificateOption[];
  readonly extensions: readonly CertificateOption[];
  /** `covered`: the request may name only these principals. `ignored`: it gets these, whatever it names (as with step-ca's OIDC). */
  readonly requestedPrincipals: 'covered' | 'ignored';
}

/** What a user certificate allows unless policy says less: the five permits that ssh-keygen sets (draft-ietf-sshm-cert, extensions). */
const userExtensions: readonly CertificateOption[] = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
].map(flagOption);

/** For a user whom an administrator's token admitted. */
export function userGrant(keyId: string, principals: readonly string[]): CertificateGrant {
  const times = { validAfter: '', validBefore: '' };
  const options = { criticalOptions: [], extensions: userExtensions };
  return { type: 'user', keyId, principals, ...times, key: undefined, ...options, requestedPrincipals: 'covered' };
}

export function grantOfClaims({ step: { ssh }, cnf }: OneTimeTokenClaims): CertificateGrant {
  return {
    type: ssh.certType,
    keyId: ssh.keyID,
    principals: ssh.principals,
    validAfter: ssh.validAfter,
    validBefore: ssh.validBefore,
    key: cnf?.kid,
    criticalOptions: [],
    extensions: ssh.certType === 'user' ? userExtensions : [],
    requestedPrincipals: 'covered',
  };
}
