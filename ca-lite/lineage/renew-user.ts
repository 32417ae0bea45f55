/**
 * A user certificate renews by its own key (docs/oidc.md). A decision anew: rules, principals, options and lifetime are those of today, for the
 * claims that the sign-in had. How long after the sign-in, and how often, is policy; beyond it, and after expiry, an administrator's grant.
 */
import { randomBytes } from 'node:crypto';
import { encodeBase64 } from '#openssh/base64.ts';
import { type CertificateFields, encodeToBeSigned } from '#openssh/certificate.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import type { SshRenewReply } from '#protocol/renewal.ts';
import type { UserRenewalPolicy } from '../config/config.ts';
import type { CaContext } from '../http/context.ts';
import type { RequestOrigin } from '../http/request-origin.ts';
import { type CertificateGrant, userGrant } from '../issue/certificate-grant.ts';
import { type CertificatePlan, planCertificate } from '../issue/certificate-plan.ts';
import { matchesAny } from '../policy/name-pattern.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { SignInRecord, UserRenewalDecision } from '../store/user-decisions.ts';
import { ADMIN_PROVISIONER } from '../token/one-time-token.ts';
import { converge, intentOf } from './converge.ts';
import { noteOfPresented } from './presented.ts';
import type { PresentedUser } from './presented-user.ts';
import { useOf } from './sshpop-token.ts';
import { type UserLeave, judgeSignIn } from './user-leave.ts';
import { refusalOfUser } from './user-refusal.ts';

export interface UserWish {
  readonly presented: PresentedUser;
  readonly origin: RequestOrigin;
  readonly signal: AbortSignal;
  /** Epoch seconds: one moment for the whole decision. */
  readonly now: bigint;
}

export interface RenewedUser {
  readonly certificate: Uint8Array;
  readonly signIn?: SshRenewReply['signIn'];
}

/** @throws StoreError, SignerError */
export async function renewUser(wish: UserWish, context: CaContext): Promise<RenewedUser | Refusal> {
  const { presented, origin, signal, now } = wish;
  const { signIn, certificate } = presented;
  if (signIn === null) return noSignIn(wish, context);
  const leave = judgeSignIn(certificate.validBefore, signIn.signedInAt, now, renewalPolicyOf(signIn, context));
  const plan = planUserRenewal(wish, signIn, leave, context);
  let decided: UserRenewalDecision | undefined;
  const decide = async () => {
    decided = await record(wish, plan, leave, context);
    return decided.accepted ? decided : refusalOfUser(decided.refusal, { presented, plan, leave, signIn });
  };
  const result = await converge({ decide, plan, origin, signal, now }, context);
  if (isRefusal(result)) return result;
  const rest = decided === undefined ? undefined : whatIsLeft(decided, leave);
  return rest === undefined ? result : { ...result, signIn: rest };
}

async function noSignIn({ presented, origin, now }: UserWish, { store }: CaContext): Promise<Refusal> {
  const note = noteOfPresented('certificate-renew', presented, origin, now);
  await store.appendAudit([{ ...note, outcome: 'refused', code: 'sign-in-needed' }]);
  return refuse('sign-in-needed', 'This certificate is from before certificates of users could renew. Sign in again.');
}

function renewalPolicyOf({ provisioner }: SignInRecord, { config, oidc }: CaContext): UserRenewalPolicy | undefined {
  return provisioner === ADMIN_PROVISIONER ? config.renewal.users : oidc.renewalOf(provisioner);
}

/** What the certificate would say today, whether it may be renewed or not. */
function planUserRenewal(
  { presented, now }: UserWish,
  signIn: SignInRecord,
  leave: UserLeave,
  context: CaContext,
): CertificatePlan | Refusal {
  const grant = grantToday(presented, signIn, leave, now, context);
  if (isRefusal(grant)) return grant;
  const key = encodeBase64(encodePublicKey(presented.proven.certificate.key));
  const lifetime = lifetimeOf(grant, leave, now, context);
  const plan = planCertificate(
    { ...grant, validBefore: `${lifetime}s` },
    { publicKey: key, ott: '' },
    {
      policy: context.config,
      now,
      serial: randomBytes(8).readBigUInt64BE() | 1n,
      nonce: randomBytes(32),
      caKey: (type) => context.signers[type].publicKey,
    },
  );
  if (isRefusal(plan) || plan.fields.validBefore !== leave.until || leave.until > presented.certificate.validBefore)
    return plan;
  return refuse(
    'sign-in-needed',
    'The last sign-in is too long ago for a certificate that ends later than this one. Sign in again.',
  );
}

function grantToday(
  { certificate: { keyId } }: PresentedUser,
  { provisioner, claims, principals }: SignInRecord,
  { needsGrant }: UserLeave,
  now: bigint,
  { config, oidc }: CaContext,
): CertificateGrant | Refusal {
  if (claims !== null) return oidc.reconsider({ provisioner, claims, keyId, byLeave: needsGrant }, now);
  const allowed = principals.filter((name) => matchesAny(config.certificates.userPrincipals, name));
  if (allowed.length > 0) return userGrant(keyId, allowed);
  return refuse(
    'renewal-no-principals',
    'None of these login names is allowed by the policy of this CA any more (certificates.user_principals in ca.toml).',
  );
}

/** Seconds: that of a sign-in of today, but no longer than policy lets this sign-in last. */
function lifetimeOf(
  { validBefore }: CertificateGrant,
  { until, needsGrant }: UserLeave,
  now: bigint,
  { config }: CaContext,
): bigint {
  const normal =
    validBefore === '' ? BigInt(config.certificates.user.defaultSeconds) : BigInt(validBefore.slice(0, -1));
  return needsGrant || until === undefined || until - now > normal ? normal : until - now;
}

async function record(
  { presented, origin, now }: UserWish,
  plan: CertificatePlan | Refusal,
  { needsGrant, times }: UserLeave,
  { store }: CaContext,
): Promise<UserRenewalDecision> {
  const refused = isRefusal(plan);
  const details = refused ? {} : { principals: [...plan.fields.principals], successor: String(plan.fields.serial) };
  return store.recordUserRenewal({
    token: useOf(presented.proven),
    serial: presented.certificate.serial,
    now,
    intent: refused ? null : intentOf(plan, origin),
    policyRefusal: refused ? plan.refused : null,
    sameEnd: refused ? new Uint8Array(1) : endOf(plan),
    needsGrant,
    maxRenewals: times,
    audit: noteOfPresented('certificate-renew', presented, origin, now, details),
  });
}

/** Options, extensions and the CA key, as they stand at the end of the bytes to be signed. */
function endOf({ fields, toBeSigned }: CertificatePlan): Uint8Array {
  const bare: CertificateFields = { ...fields, criticalOptions: [], extensions: [] };
  const withoutOptions = encodeToBeSigned(bare).length;
  const lengths = 4 * 4; // of critical options, extensions, the reserved field and the CA key
  return toBeSigned.subarray(withoutOptions - lengths - encodePublicKey(fields.signatureKey).length);
}

function whatIsLeft(decision: UserRenewalDecision, { until, times }: UserLeave): SshRenewReply['signIn'] {
  if (!decision.accepted || decision.outcome === 'underway' || decision.granted || until === undefined)
    return undefined;
  return { renewableUntil: Number(until), renewalsLeft: Math.max(0, times - decision.renewals) };
}
