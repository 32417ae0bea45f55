/**
 * Decides what a certificate will say, from a grant, a request and the policy. Pure: the signature comes later, so that nothing
 * that is refused here was ever signed. The grant alone names type, key ID and principals; a request may only agree.
 */
import { decodeBase64 } from '#openssh/base64.ts';
import { type CertificateFields, type CertificateType, encodeToBeSigned } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey, publicKeyObject } from '#openssh/public-key.ts';
import type { SshSignRequest } from '#protocol/step-api.ts';
import type { Config } from '../config/config.ts';
import type { CertificateGrant } from './certificate-grant.ts';
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

export function planCertificate(
  grant: CertificateGrant,
  request: SshSignRequest,
  inputs: PlanInputs,
): CertificatePlan | Refusal {
  const key = decideKey(request.publicKey, grant, inputs.policy);
  if (isRefusal(key)) return key;
  const disagreement = findDisagreement(grant, request, inputs);
  if (disagreement !== undefined) return disagreement;
  const validity = decideTimes(grant, request, inputs);
  if (isRefusal(validity)) return validity;
  const fields: CertificateFields = {
    key: key.key,
    type: grant.type,
    serial: inputs.serial,
    keyId: grant.keyId,
    principals: grant.principals,
    ...validity,
    criticalOptions: grant.criticalOptions,
    extensions: grant.extensions,
    nonce: inputs.nonce,
    signatureKey: inputs.caKey(grant.type),
  };
  return { fields, keyFingerprint: key.fingerprint, toBeSigned: encodeToBeSigned(fields) };
}

function decideKey(
  publicKey: string,
  grant: CertificateGrant,
  policy: PlanInputs['policy'],
): { key: PublicKey; fingerprint: Fingerprint } | Refusal {
  const decoded = decodeKey(publicKey);
  if (isRefusal(decoded)) return decoded;
  if (grant.key !== undefined && grant.key !== decoded.fingerprint) {
    return refuse('token-wrong-key', 'The token is bound to another key. Send the public key that was proven.');
  }
  const fault = findKeyFault(decoded.key, policy.certificates);
  return fault === undefined ? decoded : refuse('key-not-allowed', `The key cannot be certified: ${fault}.`);
}

function decodeKey(publicKey: string): { key: PublicKey; fingerprint: Fingerprint } | Refusal {
  try {
    const blob = decodeBase64(publicKey);
    const key = decodePublicKey(blob);
    if ('point' in key) publicKeyObject(key); // a point off its curve shows here
    return { key, fingerprint: fingerprintOf(blob) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refuse('key-not-supported', `The public key cannot be used: ${error.message}.`);
  }
}

function findDisagreement(
  grant: CertificateGrant,
  request: SshSignRequest,
  { policy }: PlanInputs,
): Refusal | undefined {
  const wanted = request.certType ?? '';
  if (wanted !== '' && wanted !== grant.type) {
    return refuse('certificate-type-not-allowed', `The token is for a ${grant.type} certificate, and nothing else.`);
  }
  const allowed = new Set(grant.principals.map((principal) => principal.toLowerCase()));
  const named = grant.requestedPrincipals === 'covered' ? (request.principals ?? []) : [];
  if (named.some((principal) => !allowed.has(principal.toLowerCase()))) {
    return refuse('principal-not-allowed', 'The request names a principal that the token does not cover.');
  }
  if (findPrincipalFault(grant.type, grant.principals, policy) === undefined) return undefined;
  const where =
    grant.type === 'host' ? 'enrolment.names and certificates.host_principals' : 'certificates.user_principals';
  return refuse(
    'principal-not-allowed',
    `A principal is not, or no longer, allowed by the policy of this CA (${where} in ca.toml).`,
  );
}

/** Token and request must agree where both say something; what neither says is the default (step-wire 2.2). */
function decideTimes(
  grant: CertificateGrant,
  request: SshSignRequest,
  { policy, now }: PlanInputs,
): Validity | Refusal {
  const wish = {
    validAfter: agreed(grant.validAfter, request.validAfter ?? '', now),
    validBefore: agreed(grant.validBefore, request.validBefore ?? '', now),
  };
  if (wish.validAfter === undefined || wish.validBefore === undefined) {
    return refuse('lifetime-not-allowed', 'The request asks for another validity than the token allows.');
  }
  const { certificates } = policy;
  const lifetimes = { ...certificates[grant.type], backdateSeconds: certificates.backdateSeconds };
  const validity = decideValidity({ validAfter: wish.validAfter, validBefore: wish.validBefore }, lifetimes, now);
  return typeof validity === 'string' ? refuse('lifetime-not-allowed', `No certificate: ${validity}.`) : validity;
}

function agreed(ofToken: string, ofRequest: string, now: bigint): string | undefined {
  if (ofToken === '' || ofRequest === '') return ofToken + ofRequest;
  return resolveTime(ofToken, now) === resolveTime(ofRequest, now) ? ofToken : undefined;
}
