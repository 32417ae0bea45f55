/**
 * A renewal or a rekey of a host from token to certificate. Everything is planned first; then one transaction of the store sees the certificate,
 * decides, spends the token and records the intent; then the CA key signs (`converge.ts`).
 */
import { randomBytes } from 'node:crypto';
import type { PublicKey } from '#openssh/public-key.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import type { CertificatePlan } from '../issue/certificate-plan.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { RenewalDecision } from '../store/lineage-decisions.ts';
import { converge, intentOf } from './converge.ts';
import { judgeAge, refusalOfExpired } from './expiry.ts';
import { healByDialBack } from './heal.ts';
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
  const { presented, origin, signal, now } = wish;
  const decideOnce = async () => {
    const decision = await decide(wish, plan, leave, context);
    return decision.accepted ? decision : refusalOf(decision, wish, plan, leave);
  };
  const decideOrHeal = async () => {
    const decision = await decideOnce();
    if (!isRefusal(decision) || decision.refused !== 'lineage-quarantined') return decision;
    return (await healByDialBack({ presented, origin, signal, now }, context)) ? decideOnce() : decision;
  };
  return converge({ decide: decideOrHeal, plan, origin, signal, now }, context);
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
