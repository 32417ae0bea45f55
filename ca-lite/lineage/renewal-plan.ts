/**
 * Decides what a renewed host certificate will say: a decision anew, not a copy. Key policy, lifetime and principals are those of today;
 * principals come from the enrolment's record (or from what a token allowed), each one as it stands there, never from a text taken apart.
 * Pure; whether the certificate may renew at all at this moment is decided in `expiry.ts` and by the store.
 */
import { encodeToBeSigned } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import type { Config } from '../config/config.ts';
import type { CertificatePlan } from '../issue/certificate-plan.ts';
import { findKeyFault } from '../policy/key-policy.ts';
import { findPrincipalFault, principalsOfHost } from '../policy/principal-policy.ts';
import { decideValidity } from '../policy/validity.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { RenewalSubject } from '../store/store-lineage.ts';

export interface RenewalInputs {
  readonly policy: Pick<Config, 'certificates' | 'enrolment'>;
  /** Epoch seconds. */
  readonly now: bigint;
  readonly serial: bigint;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
  readonly hostCaKey: PublicKey;
}

/** @param key the certificate's own, or at a rekey the new one */
export function planRenewal(subject: RenewalSubject, key: PublicKey, inputs: RenewalInputs): CertificatePlan | Refusal {
  const { policy, now } = inputs;
  if (subject.host?.state === 'cleared')
    return refuse(
      'enrolment-cleared',
      'An administrator let go of the enrolment of this host. Enrol it again: countersign host enroll',
    );
  const keyFault = findKeyFault(key, policy.certificates);
  if (keyFault !== undefined) return refuse('key-not-allowed', `The key cannot be certified any more: ${keyFault}.`);
  const principals = principalsToday(subject, policy);
  if (principals.length === 0)
    return refuse(
      'renewal-no-principals',
      'No name of this host is allowed by the policy of this CA any more (enrolment.names in ca.toml).',
    );
  const { host, backdateSeconds } = policy.certificates;
  const validity = decideValidity({ validAfter: '', validBefore: '' }, { ...host, backdateSeconds }, now);
  if (typeof validity === 'string') return refuse('lifetime-not-allowed', `No certificate: ${validity}.`);
  const fields = {
    key,
    type: 'host',
    serial: inputs.serial,
    keyId: subject.certificate.keyId,
    principals,
    ...validity,
    criticalOptions: [],
    extensions: [],
    nonce: inputs.nonce,
    signatureKey: inputs.hostCaKey,
  } as const;
  const keyFingerprint: Fingerprint = fingerprintOf(encodePublicKey(key));
  return { fields, keyFingerprint, toBeSigned: encodeToBeSigned(fields) };
}

/** What the host stands for, less what the policy no longer allows. */
export function principalsToday({ host, basis }: RenewalSubject, policy: RenewalInputs['policy']): string[] {
  const wanted = host === null ? [...basis] : principalsOfHost(host.names, host.addresses, policy);
  for (;;) {
    const fault = wanted.length === 0 ? undefined : findPrincipalFault('host', wanted, policy);
    if (fault === undefined) return wanted;
    wanted.splice(wanted.indexOf(fault), 1);
  }
}
