/** A user certificate that somebody shows with its key (`presented.ts` has those of hosts): as it stands on record, with the sign-in behind it. */
import type { CaContext } from '../http/context.ts';
import { type Refusal } from '../refusal.ts';
import type { SignInRecord } from '../store/user-decisions.ts';
import type { CertificateRecord } from '../store/records.ts';
import { isOnRecord, refusalOfUnknown } from './presented.ts';
import type { ProvenCertificate } from './sshpop-token.ts';

export interface PresentedUser {
  readonly proven: ProvenCertificate;
  readonly certificate: CertificateRecord;
  /** Null for a certificate from before sign-ins were kept. */
  readonly signIn: SignInRecord | null;
}

/** @throws StoreError */
export async function readPresentedUser(
  proven: ProvenCertificate,
  { store }: CaContext,
): Promise<PresentedUser | Refusal> {
  const { serial } = proven.certificate;
  const subject = serial === 0n ? null : await store.userRenewalSubject(serial);
  if (subject === null || !isOnRecord(proven, subject.certificate)) return refusalOfUnknown('user');
  return { proven, ...subject };
}
