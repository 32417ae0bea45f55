/**
 * A renewal or a rekey from token to certificate. Everything is planned first; then one transaction of the store sees the certificate,
 * decides, spends the token and records the intent; then the CA key signs. Whatever is lost in between, asking again gives one certificate.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PublicKey } from '#openssh/public-key.ts';
import { SSHPOP_PROVISIONER } from '#protocol/renewal.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import type { CertificatePlan } from '../issue/certificate-plan.ts';
import { signAndRecord } from '../issue/issuer.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { RenewalDecision, RenewalIntent } from '../store/lineage-decisions.ts';
import { judgeAge, refusalOfExpired } from './expiry.ts';
import { lineageNamed } from './lineage-name.ts';
import { type PresentedCertificate, noteOfPresented, presentedBy, refusalOfPresented } from './presented.ts';
import { planRenewal } from './renewal-plan.ts';
import { useOf } from './sshpop-token.ts';

export interface RenewalWish {
  readonly operation: 'renew' | 'rekey';
  readonly presented: PresentedCertificate;
  /** The key to be certified. */
  readonly key: PublicKey;
  readonly origin: RequestOrigin;
  readonly signal: AbortSignal;
  /** Epoch seconds: one moment for the whole decision. */
  readonly now: bigint;
}

/** How long to wait for a successor that another request has under way, and how often to look. */
const WAIT_MS = 10_000;
const LOOK_MS = 25;
const UNDERWAY_RETRY_SECONDS = 2;

/** @throws StoreError, SignerError */
export async function renewHost(
  wish: RenewalWish,
  context: CaContext,
): Promise<{ readonly certificate: Uint8Array } | Refusal> {
  const leave = await askLeave(wish, context);
  const plan = planRenewal(wish.presented.subject, wish.key, {
    policy: context.config,
    now: wish.now,
    serial: randomBytes(8).readBigUInt64BE() | 1n,
    nonce: randomBytes(32),
    hostCaKey: context.signers.host.publicKey,
  });
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    const decision = await decide(wish, plan, leave, context);
    if (!decision.accepted) return refusalOf(decision, wish, plan, leave);
    if (decision.outcome === 'issued') return onRecord(decision.serial, context);
    if (decision.outcome === 'intended') return sign(wish, plan, context);
    await waitFor(decision.serial, giveUpAt, wish.signal, context);
    if (performance.now() > giveUpAt)
      return refuse('renewal-underway', 'Another request is renewing it. Try again.', UNDERWAY_RETRY_SECONDS);
  }
}

/** What the age of the certificate asks for: nothing, or a grant, with the reason when that is a dial-back that failed. */
interface Leave {
  readonly needsGrant: boolean;
  readonly dialBack: Refusal | null;
}

async function askLeave({ presented, now, origin, signal }: RenewalWish, context: CaContext): Promise<Leave> {
  const { host, certificate } = presented.subject;
  const verdict = judgeAge(certificate.validBefore, now, context.config.renewal);
  if (verdict !== 'dial-back') return { needsGrant: verdict === 'grant', dialBack: null };
  if (host === null) return { needsGrant: true, dialBack: null };
  const port = context.config.enrolment.ports.values().next().value ?? 22;
  const { names, addresses } = host;
  const claim = { names, addresses, port, fingerprint: presented.proven.keyFingerprint };
  const result = await context.hostCheck.proveAll(claim, { requester: origin.requester, signal });
  return isRefusal(result) ? { needsGrant: true, dialBack: result } : { needsGrant: false, dialBack: null };
}

async function decide(
  { operation, presented, origin, now }: RenewalWish,
  plan: CertificatePlan | Refusal,
  { needsGrant }: Leave,
  context: CaContext,
): Promise<RenewalDecision> {
  const refused = isRefusal(plan);
  const details = refused
    ? {}
    : { principals: [...plan.fields.principals], successor: String(plan.fields.serial), key: plan.keyFingerprint };
  return context.store.recordRenewal({
    token: useOf(presented.proven),
    presented: presentedBy(presented, origin, now, context),
    intent: refused ? null : intentOf(plan, origin),
    policyRefusal: refused ? plan.refused : null,
    needsGrant,
    audit: noteOfPresented(`certificate-${operation}`, presented, origin, now, details),
  });
}

function intentOf(
  { fields, keyFingerprint, toBeSigned }: CertificatePlan,
  { requester }: RequestOrigin,
): RenewalIntent {
  const { serial, type, keyId, principals, validAfter, validBefore } = fields;
  const facts = { serial, type, keyId, principals, validAfter, validBefore };
  return { ...facts, signedBytes: toBeSigned, keyFingerprint, provisioner: SSHPOP_PROVISIONER, requester };
}

function refusalOf(
  decision: Extract<RenewalDecision, { accepted: false }>,
  { presented, now }: RenewalWish,
  plan: CertificatePlan | Refusal,
  { dialBack }: Leave,
): Refusal {
  const { refusal, lineage } = decision;
  const { keyId, validBefore, serial } = presented.subject.certificate;
  if (refusal === 'policy' && isRefusal(plan)) return plan;
  if (refusal === 'policy' || refusal === 'serial-exists')
    return refuse('internal', 'The CA drew a serial twice. Try again.');
  if (refusal !== 'renewal-expired') return refusalOfPresented(refusal, presented, lineage);
  const expired = refusalOfExpired(validBefore, now, keyId, lineage ?? lineageNamed(serial));
  if (dialBack === null) return expired;
  return {
    ...expired,
    message: `${expired.message} Policy would have allowed it after a dial-back, but: ${dialBack.message}`,
  };
}

async function onRecord(serial: bigint, { store }: CaContext): Promise<{ readonly certificate: Uint8Array }> {
  const record = await store.certificate(serial);
  if (record?.certificate === undefined || record.certificate === null)
    throw new Error('a certificate that was issued is not on record');
  return { certificate: record.certificate };
}

async function sign(
  { origin, now }: RenewalWish,
  plan: CertificatePlan | Refusal,
  context: CaContext,
): Promise<{ readonly certificate: Uint8Array } | Refusal> {
  if (isRefusal(plan)) throw new Error('nothing was planned');
  // Not aborted when the client hangs up: what was intended is then there for its next request.
  const issuance = { token: null, host: null, provisioner: SSHPOP_PROVISIONER, ...origin, now };
  return signAndRecord(plan, issuance, context);
}

/** Until another request's certificate is issued or called off; then the decision is asked for again. */
async function waitFor(serial: bigint, giveUpAt: number, signal: AbortSignal, { store }: CaContext): Promise<void> {
  while (performance.now() <= giveUpAt && !signal.aborted) {
    const record = await store.certificate(serial);
    if (record?.state !== 'intended') return;
    await sleep(LOOK_MS);
  }
}
