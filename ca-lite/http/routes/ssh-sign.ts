/** POST /ssh/sign: a one-time token and a public key in, a certificate out (step-wire 1.5; docs/enrolment-protocol.md, step 5). */
import { randomBytes } from 'node:crypto';
import { encodeBase64 } from '#openssh/base64.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import { SshSignReply, SshSignRequest } from '#protocol/step-api.ts';
import { planCertificate } from '../../issue/certificate-plan.ts';
import { issueCertificate } from '../../issue/issuer.ts';
import { type Refusal, isRefusal } from '../../refusal.ts';
import type { HostBinding } from '../../store/decisions.ts';
import { ADMIN_PROVISIONER, ENROLMENT_PROVISIONER } from '../../token/one-time-token.ts';
import type { CaContext } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshSignRoute(server: CaServer, context: CaContext): void {
  const schema = { body: SshSignRequest, response: { 201: SshSignReply } };
  server.post('/ssh/sign', { schema }, async (request, reply) => {
    const result = await sign(request.body, originOf(request), context);
    if (isRefusal(result)) return sendRefusal(reply, result);
    return reply.code(201).send({ crt: encodeBase64(result.certificate) });
  });
}

async function sign(
  body: SshSignRequest,
  origin: RequestOrigin,
  context: CaContext,
): Promise<{ certificate: Uint8Array } | Refusal> {
  const now = context.now();
  const issuers = [ENROLMENT_PROVISIONER, ADMIN_PROVISIONER];
  const claims = await context.tokenKey.verify(body.ott, { issuers, dnsNames: context.config.dnsNames, now });
  if (isRefusal(claims)) return audited(claims, undefined, origin, context, now);
  const plan = planCertificate(claims, body, {
    policy: context.config,
    now,
    serial: randomBytes(8).readBigUInt64BE() | 1n,
    nonce: randomBytes(32),
    caKey: (type) => context.signers[type].publicKey,
  });
  if (isRefusal(plan)) return audited(plan, claims, origin, context, now);
  const token = { id: claims.jti, expiresAt: BigInt(claims.exp), recorded: true };
  const host = bindingOf(claims, plan.keyFingerprint);
  return issueCertificate(plan, { token, host, provisioner: claims.iss, ...origin, now }, context);
}

/** What trust on first use binds: only an enrolment has it. */
function bindingOf({ enrolment }: OneTimeTokenClaims, keyFingerprint: string): HostBinding | null {
  if (enrolment === undefined) return null;
  const { id, names, addresses, vouchedBy } = enrolment;
  return { enrolment: id, names, addresses, keyFingerprint, vouchedBy: vouchedBy ?? null };
}

/** A refusal is a decision too: it is on record before it is answered. */
async function audited(
  refusal: Refusal,
  claims: OneTimeTokenClaims | undefined,
  origin: RequestOrigin,
  { store }: CaContext,
  now: bigint,
): Promise<Refusal> {
  const subject = { name: claims?.sub ?? null, provisioner: claims?.iss ?? null, ...origin };
  await store.appendAudit([
    { time: now, action: 'certificate-issue', outcome: 'refused', code: refusal.refused, subject },
  ]);
  return refusal;
}
