/**
 * The certificate of a host whose answer was lost: issued, and never seen in use (docs/enrolment-protocol.md, a lost answer). Nothing is issued
 * and nothing is spent. Refused on purpose: a certificate that was seen in use, and one of other names or addresses than were proven now;
 * for both an administrator clears the enrolment.
 */
import { refusalOfHost } from '../issue/issuer.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { CertificateRecord, HostRecord } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';
import type { ProvenHost } from './challenge.ts';

const UNDERWAY_RETRY_SECONDS = 2;
const MAX_ENROLMENTS = 100;

/** @param now epoch seconds @throws StoreError */
export async function findUnused(
  host: ProvenHost,
  now: bigint,
  store: StoreReader,
): Promise<{ readonly record: CertificateRecord; readonly certificate: Uint8Array } | Refusal> {
  const { items } = await store.hosts({ keyFingerprint: host.fingerprint }, { limit: MAX_ENROLMENTS });
  const [own] = items.filter(({ state }) => state !== 'cleared').filter((one) => isSame(one, host));
  if (own?.state === 'pending')
    return refuse('renewal-underway', 'The certificate is being signed. Ask again.', UNDERWAY_RETRY_SECONDS);
  if (own === undefined || own.serial === null)
    return refuse('certificate-unknown', 'No certificate was issued to this key under these names and addresses.');
  const record = await store.certificate(own.serial);
  if (record === null || record.certificate === null || !(await isUnused(record, now, store)))
    return refusalOfHost('host-already-enrolled', host.names[0] ?? '');
  return { record, certificate: record.certificate };
}

function isSame({ names, addresses }: HostRecord, host: ProvenHost): boolean {
  return sameSet(names, host.names) && sameSet(addresses, host.addresses);
}

function sameSet(some: readonly string[], others: readonly string[]): boolean {
  return new Set([...some, ...others]).size === new Set(some).size && new Set(some).size === new Set(others).size;
}

/** The first of its lineage, which is neither in use nor revoked nor in quarantine. */
async function isUnused({ serial, lineage, validBefore }: CertificateRecord, now: bigint, store: StoreReader) {
  const line = lineage === null ? null : await store.lineage(lineage);
  return line?.state === 'active' && line.head === serial && line.seenAt === null && now < validBefore;
}
