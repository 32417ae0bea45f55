/**
 * From a renewal that was planned to its one certificate: the store decides, and either the intent is there and is signed, or the certificate is
 * there already and is handed over again, or another request is making it and is waited for. Whatever is lost in between, asking again
 * gives the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SSHPOP_PROVISIONER } from '#protocol/renewal.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import type { CertificatePlan } from '../issue/certificate-plan.ts';
import { signAndRecord } from '../issue/issuer.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { RenewalIntent } from '../store/lineage-decisions.ts';

/** How long to wait for a successor that another request has under way, and how often to look. */
const WAIT_MS = 10_000;
const LOOK_MS = 25;
const UNDERWAY_RETRY_SECONDS = 2;

/** What a store says of a renewal that it accepts (`lineage-decisions.ts`). */
type Verdict = { readonly outcome: 'intended' } | { readonly outcome: 'issued' | 'underway'; readonly serial: bigint };

export interface Convergence {
  /** Asks the store, each time anew. */
  readonly decide: () => Promise<Verdict | Refusal>;
  readonly plan: CertificatePlan | Refusal;
  readonly origin: RequestOrigin;
  readonly signal: AbortSignal;
  /** Epoch seconds. */
  readonly now: bigint;
}

/** @throws StoreError, SignerError */
export async function converge(
  { decide, plan, origin, signal, now }: Convergence,
  context: CaContext,
): Promise<{ readonly certificate: Uint8Array } | Refusal> {
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    const decision = await decide();
    if (isRefusal(decision)) return decision;
    if (decision.outcome === 'underway') {
      await waitFor(decision.serial, giveUpAt, signal, context);
      if (performance.now() <= giveUpAt) continue;
      return refuse('renewal-underway', 'Another request is renewing it. Try again.', UNDERWAY_RETRY_SECONDS);
    }
    if (decision.outcome === 'issued') return onRecord(decision.serial, context);
    if (isRefusal(plan)) throw new Error('nothing was planned');
    // Not aborted when the client hangs up: what was intended is then there for its next request.
    const issuance = { token: null, host: null, provisioner: SSHPOP_PROVISIONER, ...origin, now };
    return signAndRecord(plan, issuance, context);
  }
}

/** What the store records of a plan before it is signed. */
export function intentOf(
  { fields, keyFingerprint, toBeSigned }: CertificatePlan,
  { requester }: RequestOrigin,
): RenewalIntent {
  const { serial, type, keyId, principals, validAfter, validBefore } = fields;
  const facts = { serial, type, keyId, principals, validAfter, validBefore };
  return { ...facts, signedBytes: toBeSigned, keyFingerprint, provisioner: SSHPOP_PROVISIONER, requester };
}

async function onRecord(serial: bigint, { store }: CaContext): Promise<{ readonly certificate: Uint8Array }> {
  const record = await store.certificate(serial);
  if (record?.certificate === undefined || record.certificate === null)
    throw new Error('a certificate that was issued is not on record');
  return { certificate: record.certificate };
}

/** Until another request's certificate is issued or called off; then the decision is asked for again. */
async function waitFor(serial: bigint, giveUpAt: number, signal: AbortSignal, { store }: CaContext): Promise<void> {
  while (performance.now() <= giveUpAt && !signal.aborted) {
    const record = await store.certificate(serial);
    if (record?.state !== 'intended') return;
    await sleep(LOOK_MS);
  }
}
