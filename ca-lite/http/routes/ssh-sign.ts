/** POST /ssh/sign: a one-time token or an ID token, and a public key in, a certificate out (step-wire 1.5; docs/enrolment-protocol.md, step 5). */
import { randomBytes } from 'node:crypto';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import { SshSignReply, SshSignRequest } from '#protocol/step-api.ts';
import { type CertificateGrant, grantOfClaims } from '../../issue/certificate-grant.ts';
import { planCertificate } from '../../issue/certificate-plan.ts';
import { issueCertificate } from '../../issue/issuer.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { HostBinding, TokenUse } from '../../store/decisions.ts';
import { ADMIN_PROVISIONER, ENROLMENT_PROVISIONER } from '../../token/one-time-token.ts';
import type { SignIn } from '../../store/user-decisions.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { accepted } from '../failure.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshSignRoute(server: CaServer, live: ContextSource): void {
  const schema = { body: SshSignRequest, response: { 201: SshSignReply } };
  server.post('/ssh/sign', { schema }, async (request, reply) => {
    const { certificate } = accepted(await sign(request.body, originOf(request), live.current));
    reply.code(201);
    return { crt: encodeBase64(certificate) };
  });
}

/** Who vouches for this request, for what, and what is spent by it. */
interface Authority {
  readonly provisioner: string;
  readonly grant: CertificateGrant;
  readonly token: TokenUse;
  /** Of an enrolment: what trust on first use binds, but for the key. */
  readonly enrolment: OneTimeTokenClaims['enrolment'];
  /** For a user certificate: what is kept for its renewals. */
  readonly signIn: SignIn | undefined;
}

async function sign(
  body: SshSignRequest,
  origin: RequestOrigin,
  context: CaContext,
): Promise<{ certificate: Uint8Array } | Refusal> {
  const now = context.now();
  const authority = await authorize(body, context, now);
  if (isRefusal(authority)) return audited(authority, undefined, origin, context, now);
  const { grant, token, provisioner, enrolment } = authority;
  const plan = planCertificate(grant, body, {
    policy: context.config,
    now,
    serial: randomBytes(8).readBigUInt64BE() | 1n,
    nonce: randomBytes(32),
    caKey: (type) => context.signers[type].publicKey,
  });
  if (isRefusal(plan)) return audited(plan, authority, origin, context, now);
  const host = enrolment === undefined ? null : bindingOf(enrolment, plan.keyFingerprint);
  return issueCertificate(plan, { token, host, signIn: authority.signIn, provisioner, ...origin, now }, context);
}

async function authorize(body: SshSignRequest, context: CaContext, now: bigint): Promise<Authority | Refusal> {
  if (context.oidc.provisionerOf(body.ott) !== undefined) {
    const blob = keyBlobOf(body);
    if (isRefusal(blob)) return blob;
    const identity = await context.oidc.authorize(body, blob.blob, now);
    return isRefusal(identity) ? identity : { ...identity, enrolment: undefined };
  }
  const issuers = [ENROLMENT_PROVISIONER, ADMIN_PROVISIONER];
  const claims = await context.tokenKey.verify(body.ott, { issuers, dnsNames: context.config.dnsNames, now });
  if (isRefusal(claims)) return claims;
  const token = { id: claims.jti, expiresAt: BigInt(claims.exp), recorded: true };
  const grant = grantOfClaims(claims);
  const signIn = grant.type === 'user' ? { identity: grant.keyId, claims: null } : undefined;
  return { provisioner: claims.iss, grant, token, enrolment: claims.enrolment, signIn };
}

function keyBlobOf({ publicKey }: SshSignRequest): { readonly blob: Uint8Array } | Refusal {
  try {
    return { blob: decodeBase64(publicKey) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refuse('key-not-supported', `The public key cannot be used: ${error.message}.`);
  }
}

function bindingOf(enrolment: NonNullable<Authority['enrolment']>, keyFingerprint: string): HostBinding {
  const { id, names, addresses, vouchedBy } = enrolment;
  return { enrolment: id, names, addresses, keyFingerprint, vouchedBy: vouchedBy ?? null };
}

/** A refusal is a decision too: it is on record before it is answered. */
async function audited(
  refusal: Refusal,
  authority: Authority | undefined,
  origin: RequestOrigin,
  { store }: CaContext,
  now: bigint,
): Promise<Refusal> {
  const subject = { name: authority?.grant.keyId ?? null, provisioner: authority?.provisioner ?? null, ...origin };
  await store.appendAudit([
    { time: now, action: 'certificate-issue', outcome: 'refused', code: refusal.refused, subject },
  ]);
  return refusal;
}
