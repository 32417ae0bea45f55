/**
 * Decides what a certificate will say, from a verified token, a request and the policy. Pure: the signature comes later, so that
 * nothing that is refused here was ever signed. The token alone names type, key ID and principals; a request may only agree.
 */
import { decodeBase64 } from '#openssh/base64.ts';
import {
  type CertificateFields,
  type CertificateOption,
  type CertificateType,
  encodeToBeSigned,
  flagOption,
} from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey, publicKeyObject } from '#openssh/public-key.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import type { SshSignRequest } from '#protocol/step-api.ts';
import type { Config } from '../config/config.ts';
import { findKeyFault } from '../policy/key-policy.ts';
import { findPrincipalFault } from '../policy/principal-policy.ts';
import { type Validity, decideValidity, resolveTime } from '../policy/validity.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';

/** A certificate that was decided on: redeemed once, by signing `toBeSigned`. */
export interface CertificatePlan {
  readonly fields: CertificateFields;
  readonly keyFingerprint: Fingerprint;
  readonly toBeSigned: Uint8Array;
}

export interface PlanInputs {
  readonly policy: Pick<Config, 'certificates' | 'enrolment'>;
  readonly now: bigint;
  readonly serial: bigint;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
  readonly caKey: (type: CertificateType) => PublicKey;
}

/** What a user certificate allows unless policy says less: the five permits that ssh-keygen sets (draft-ietf-sshm-cert, extensions). */
const userExtensions: readonly CertificateOption[] = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
].map(flagOption);

type SshClaims = OneTimeTokenClaims['step']['ssh'];

export function planCertificate(
  claims: OneTimeTokenClaims,
  request: SshSignRequest,
  inputs: PlanInputs,
): CertificatePlan | Refusal {
  const key = decideKey(request.publicKey, claims, inputs.policy);
  if (isRefusal(key)) return key;
  const ssh = claims.step.ssh;
  const disagreement = findDisagreement(ssh, request, inputs);
  if (disagreement !== undefined) return disagreement;
  const validity = decideTimes(ssh, request, inputs);
  if (isRefusal(validity)) return validity;
  const fields: CertificateFields = {
    key: key.key,
    type: ssh.certType,
    serial: inputs.serial,
    keyId: ssh.keyID,
    principals: ssh.principals,
    ...validity,
    criticalOptions: [],
    extensions: ssh.certType === 'user' ? userExtensions : [],
    nonce: inputs.nonce,
    signatureKey: inputs.caKey(ssh.certType),
  };
  return { fields, keyFingerprint: key.fingerprint, toBeSigned: encodeToBeSigned(fields) };
}

function decideKey(
  publicKey: string,
  claims: OneTimeTokenClaims,
  policy: PlanInputs['policy'],
): { key: PublicKey; fingerprint: Fingerprint } | Refusal {
  const decoded = decodeKey(publicKey);
  if (isRefusal(decoded)) return decoded;
  if (claims.cnf !== undefined && claims.cnf.kid !== decoded.fingerprint) {
    return refuse('token-wrong-key', 'The token is bound to another key. Send the public key that was proven.');
  }
  const fault = findKeyFault(decoded.key, policy.certificates);
  return fault === undefined ? decoded : refuse('key-not-allowed', `The key cannot be certified: ${fault}.`);
}

function decodeKey(publicKey: string): { key: PublicKey; fingerprint: Fingerprint } | Refusal {
  try {
    const blob = decodeBase64(publicKey);
    const key = decodePublicKey(blob);
    publicKeyObject(key); // a point off its curve shows here
    return { key, fingerprint: fingerprintOf(blob) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refuse('key-not-supported', `The public key cannot be used: ${error.message}.`);
  }
}

function findDisagreement(ssh: SshClaims, request: SshSignRequest, { policy }: PlanInputs): Refusal | undefined {
  const wanted = request.certType ?? '';
  if (wanted !== '' && wanted !== ssh.certType) {
    return refuse('certificate-type-not-allowed', `The token is for a ${ssh.certType} certificate, and nothing else.`);
  }
  const allowed = new Set(ssh.principals.map((principal) => principal.toLowerCase()));
  if ((request.principals ?? []).some((principal) => !allowed.has(principal.toLowerCase()))) {
    return refuse('principal-not-allowed', 'The request names a principal that the token does not cover.');
  }
  if (findPrincipalFault(ssh.certType, ssh.principals, policy) === undefined) return undefined;
  const where =
    ssh.certType === 'host' ? 'enrolment.names and certificates.host_principals' : 'certificates.user_principals';
  return refuse(
    'principal-not-allowed',
    `A principal is not, or no longer, allowed by the policy of this CA (${where} in ca.toml).`,
  );
}

/** Token and request must agree where both say something; what neither says is the default (step-wire 2.2). */
function decideTimes(ssh: SshClaims, request: SshSignRequest, { policy, now }: PlanInputs): Validity | Refusal {
  const wish = {
    validAfter: agreed(ssh.validAfter, request.validAfter ?? '', now),
    validBefore: agreed(ssh.validBefore, request.validBefore ?? '', now),
  };
  if (wish.validAfter === undefined || wish.validBefore === undefined) {
    return refuse('lifetime-not-allowed', 'The request asks for another validity than the token allows.');
  }
  const { certificates } = policy;
  const lifetimes = { ...certificates[ssh.certType], backdateSeconds: certificates.backdateSeconds };
  const validity = decideValidity({ validAfter: wish.validAfter, validBefore: wish.validBefore }, lifetimes, now);
  return typeof validity === 'string' ? refuse('lifetime-not-allowed', `No certificate: ${validity}.`) : validity;
}

function agreed(ofToken: string, ofRequest: string, now: bigint): string | undefined {
  if (ofToken === '' || ofRequest === '') return ofToken + ofRequest;
  return resolveTime(ofToken, now) === resolveTime(ofRequest, now) ? ofToken : undefined;
}
