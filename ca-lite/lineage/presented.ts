/** A token becomes a certificate on record, or a refusal that is itself on record: the first half of everything a host asks by SSHPOP. */
import type { CertificateFields, CertificateType } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { SshpopOperation } from '#protocol/renewal.ts';
import type { AuditNote } from '../audit/entry.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { PresentedRefusal, Presented } from '../store/lineage-decisions.ts';
import type { CertificateRecord } from '../store/records.ts';
import type { RenewalSubject } from '../store/store-lineage.ts';
import type { SingleUseRefusal } from '../store/decisions.ts';
import { type ProvenCertificate, verifySshpop } from './sshpop-token.ts';

/** A certificate of ours, whose key is proven, as it stands on record. */
export interface PresentedCertificate {
  readonly proven: ProvenCertificate;
  readonly subject: RenewalSubject;
}

/** The certificate of a token for this operation, of a host or, where `of` says so, of a user. Its key is proven; the store was not asked yet. */
export function proveCertificate(
  token: string,
  operation: SshpopOperation,
  of: 'hosts' | 'all',
  now: bigint,
  { config, hostCas, trust }: CaContext,
): ProvenCertificate | Refusal {
  const userCas =
    of === 'all' ? new Set(trust.userCas.map(({ fingerprint }) => fingerprint as Fingerprint)) : undefined;
  return verifySshpop(token, { operation, dnsNames: config.dnsNames, hostCas, userCas, now });
}

/** A host certificate that asks for something. @throws StoreError */
export async function readPresented(
  token: string,
  operation: SshpopOperation,
  now: bigint,
  context: CaContext,
): Promise<PresentedCertificate | Refusal> {
  const proven = proveCertificate(token, operation, 'hosts', now, context);
  return isRefusal(proven) ? proven : readPresentedHost(proven, context);
}

/** @throws StoreError */
export async function readPresentedHost(
  proven: ProvenCertificate,
  { store }: CaContext,
): Promise<PresentedCertificate | Refusal> {
  const { serial } = proven.certificate;
  const subject = serial === 0n ? null : await store.renewalSubject(serial);
  if (subject === null || !isOnRecord(proven, subject.certificate)) return refusalOfUnknown('host');
  return { proven, subject };
}

/** The very bytes, not only the serial. */
export function isOnRecord({ certificate: { blob } }: ProvenCertificate, { certificate }: CertificateRecord): boolean {
  return certificate !== null && equalBytes(certificate, blob);
}

export function refusalOfUnknown(type: CertificateType): Refusal {
  const advice = type === 'host' ? 'Enrol again: countersign host enroll' : 'Sign in again, or ask for another token.';
  return refuse('certificate-unknown', `This CA has no record of that certificate. ${advice}`);
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
  { proven }: Pick<PresentedCertificate, 'proven'>,
  origin: RequestOrigin,
  now: bigint,
  details: AuditNote['details'] = {},
): AuditNote {
  const { type, serial, keyId }: CertificateFields = proven.certificate;
  return {
    time: now,
    action,
    subject: {
      type,
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
  type: CertificateType = 'host',
): Promise<Refusal> {
  const subject = { type, provisioner: 'sshpop', ...origin } as const;
  await store.appendAudit([{ time: now(), action, outcome: 'refused', code: refusal.refused, subject }]);
  return refusal;
}

export function refusalOfToken(refusal: SingleUseRefusal): Refusal {
  return refusal === 'token-expired'
    ? refuse(refusal, 'The token has expired. Make a new one and use it at once.')
    : refuse('token-used', 'The token was used before. A token works once: make a new one.');
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
    case 'token-expired':
      return refusalOfToken(refusal);
    case 'certificate-unknown':
      return refusalOfUnknown('host');
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
