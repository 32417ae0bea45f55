/** A token becomes a certificate on record, or a refusal that is itself on record: the first half of everything a host asks by SSHPOP. */
import type { CertificateFields } from '#openssh/certificate.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { SshpopOperation } from '#protocol/renewal.ts';
import type { AuditNote } from '../audit/entry.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { PresentedRefusal, Presented } from '../store/lineage-decisions.ts';
import type { RenewalSubject } from '../store/store-lineage.ts';
import type { SingleUseRefusal } from '../store/decisions.ts';
import { type ProvenCertificate, verifySshpop } from './sshpop-token.ts';

/** A certificate of ours, whose key is proven, as it stands on record. */
export interface PresentedCertificate {
  readonly proven: ProvenCertificate;
  readonly subject: RenewalSubject;
}

/** @throws StoreError */
export async function readPresented(
  token: string,
  operation: SshpopOperation,
  now: bigint,
  { config, hostCas, store }: CaContext,
): Promise<PresentedCertificate | Refusal> {
  const proven = verifySshpop(token, { operation, dnsNames: config.dnsNames, hostCas, now });
  if (isRefusal(proven)) return proven;
  const { serial, blob } = proven.certificate;
  const subject = serial === 0n ? null : await store.renewalSubject(serial);
  if (
    subject === null ||
    subject.certificate.certificate === null ||
    !equalBytes(subject.certificate.certificate, blob)
  )
    return refuse(
      'certificate-unknown',
      'This CA has no record of that certificate. Enrol again: countersign host enroll',
    );
  return { proven, subject };
}

export function presentedBy(
  { proven }: PresentedCertificate,
  origin: RequestOrigin,
  now: bigint,
  { config }: CaContext,
): Presented {
  return {
    serial: proven.certificate.serial,
    signedAt: BigInt(proven.claims.iat),
    requester: origin.requester,
    now,
    graceSeconds: BigInt(config.renewal.cloneGraceSeconds),
  };
}

/** The note of what a certificate asks, about the certificate that asks. */
export function noteOfPresented(
  action: string,
  { proven }: PresentedCertificate,
  origin: RequestOrigin,
  now: bigint,
  details: AuditNote['details'] = {},
): AuditNote {
  const { serial, keyId }: CertificateFields = proven.certificate;
  return {
    time: now,
    action,
    subject: {
      type: 'host',
      name: keyId,
      serial,
      keyFingerprint: proven.keyFingerprint,
      provisioner: 'sshpop',
      ...origin,
    },
    details,
  };
}

/** Refused before the store was asked: on record all the same. Resolves to the refusal. */
export async function auditRefusal(
  action: string,
  refusal: Refusal,
  origin: RequestOrigin,
  { store, now }: CaContext,
): Promise<Refusal> {
  const subject = { type: 'host', provisioner: 'sshpop', ...origin } as const;
  await store.appendAudit([{ time: now(), action, outcome: 'refused', code: refusal.refused, subject }]);
  return refusal;
}

/** What the store refused about a certificate, in words for its host. */
export function refusalOfPresented(
  refusal: PresentedRefusal | SingleUseRefusal,
  { proven }: PresentedCertificate,
  lineage: string | null,
): Refusal {
  const { keyId, serial } = proven.certificate;
  switch (refusal) {
    case 'token-used':
    case 'token-unknown':
      return refuse('token-used', 'The token was used before. A token works once: make a new one.');
    case 'token-expired':
      return refuse('token-expired', 'The token has expired. Make a new one and use it at once.');
    case 'certificate-unknown':
      return refuse(refusal, 'This CA has no record of that certificate. Enrol again: countersign host enroll');
    case 'renewal-revoked':
      return refuse(
        refusal,
        `The certificate of ${keyId} (serial ${serial}) is revoked; nothing revives it. If the host is to come back, an administrator ` +
          `lets it enrol anew with: countersign-ca hosts clear ${keyId}`,
      );
    case 'not-lineage-head':
      return refuse(
        refusal,
        `A newer certificate of ${keyId} is in use already. If another process of this host renewed it, go on with the one that it installed.`,
      );
    case 'lineage-quarantined':
      return refuse(
        refusal,
        `Two holders of the key of ${keyId} have shown up: a copied disk, or a restored backup. Nothing is renewed until an administrator ` +
          `decides: countersign-ca lineage ${lineage ?? ''}`,
      );
  }
}
