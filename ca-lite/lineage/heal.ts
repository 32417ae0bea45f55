/**
 * The end of a quarantine without a person, where policy allows it (`renewal.heal_by_dial_back`, docs/lineage.md). Both sides hold the same
 * key, so the key alone tells nothing. What tells them apart is where they are: the one that asks comes from an address that the host enrolled
 * with, a fresh dial-back proves the key there, and every other certificate was seen from elsewhere alone. In doubt nothing is decided.
 */
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import { isRefusal } from '../refusal.ts';
import type { SightingRecord } from '../store/lineage-decisions.ts';
import { lineageNamed } from './lineage-name.ts';
import type { PresentedCertificate } from './presented.ts';

export interface Quarantined {
  readonly presented: PresentedCertificate;
  readonly origin: RequestOrigin;
  readonly signal: AbortSignal;
  /** Epoch seconds. */
  readonly now: bigint;
}

/** True when the lineage goes on with the certificate that was presented; the other side's are revoked then. @throws StoreError */
export async function healByDialBack(
  { presented, origin, signal, now }: Quarantined,
  context: CaContext,
): Promise<boolean> {
  const { store, config } = context;
  const { certificate, host } = presented.subject;
  if (!config.renewal.healByDialBack || host?.state !== 'enrolled') return false;
  const lineage = certificate.lineage ?? lineageNamed(certificate.serial);
  if (!isTold(certificate.serial, origin.requester, host.addresses, await store.sightings(lineage))) return false;
  const { names } = host;
  const port = config.enrolment.ports.values().next().value ?? 22;
  const claim = { names, addresses: host.addresses, port, fingerprint: presented.proven.keyFingerprint };
  const proven = await context.hostCheck.proveAll(claim, { requester: origin.requester, signal });
  if (isRefusal(proven)) return false;
  const subject = {
    type: 'host',
    name: certificate.keyId,
    serial: certificate.serial,
    actor: 'dial-back',
    ...origin,
  } as const;
  const audit = { time: now, action: 'lineage-resolve', subject, details: { lineage, kept: true } };
  const decision = await store.resolveLineage({ lineage, keep: certificate.serial, now, audit });
  return decision.accepted;
}

/** This certificate from one of the host's addresses, and no other one from any of them. */
export function isTold(
  serial: bigint,
  requester: string,
  addresses: readonly string[],
  sightings: readonly Pick<SightingRecord, 'serial' | 'requester'>[],
): boolean {
  const others = sightings.filter((sighting) => sighting.serial !== serial);
  return (
    addresses.includes(requester) && others.length > 0 && !others.some((other) => addresses.includes(other.requester))
  );
}
