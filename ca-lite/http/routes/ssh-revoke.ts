/**
 * POST /ssh/revoke: a certificate revokes itself (protocol/renewal.ts; step-wire 1.5). Possession of *a* certificate is no authority over
 * another one (CVE-2025-66406): what is revoked is the certificate that made the token, and the request may only agree.
 */
import { SshRevokeReply, SshRevokeRequest } from '#protocol/renewal.ts';
import { type PresentedCertificate, auditRefusal, noteOfPresented, readPresented } from '../../lineage/presented.ts';
import { useOf } from '../../lineage/sshpop-token.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { CaContext } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshRevokeRoute(server: CaServer, context: CaContext): void {
  const schema = { body: SshRevokeRequest, response: { 200: SshRevokeReply } };
  server.post('/ssh/revoke', { schema }, async (request, reply) => {
    const [now, origin] = [context.now(), originOf(request)];
    const presented = await readPresented(request.body.ott, 'revoke', now, context);
    const fault = isRefusal(presented) ? presented : findFault(request.body, presented, now);
    if (isRefusal(presented) || fault !== undefined) {
      const refusal = isRefusal(presented) ? presented : (fault as Refusal);
      return sendRefusal(reply, await auditRefusal('certificate-revoke', refusal, origin, context));
    }
    const refusal = await revokeSelf(request.body, presented, origin, now, context);
    return refusal === undefined ? { status: 'ok' as const } : sendRefusal(reply, refusal);
  });
}

function findFault(
  { serial }: SshRevokeRequest,
  { proven, subject }: PresentedCertificate,
  now: bigint,
): Refusal | undefined {
  if (serial !== String(proven.certificate.serial))
    return refuse('not-your-certificate', 'A certificate can revoke itself, and no other one.');
  if (subject.certificate.validBefore <= now)
    return refuse('certificate-expired', 'The certificate has expired: there is nothing left to revoke.');
  return undefined;
}

async function revokeSelf(
  { reason = '' }: SshRevokeRequest,
  presented: PresentedCertificate,
  origin: RequestOrigin,
  now: bigint,
  { store }: CaContext,
): Promise<Refusal | undefined> {
  const { serial } = presented.proven.certificate;
  const plain = reason.replace(/\p{C}/gu, '').slice(0, 256);
  const decision = await store.revoke({
    target: { kind: 'serial', serial },
    reason: plain,
    now,
    revokedBy: 'its own key',
    token: useOf(presented.proven),
    audit: noteOfPresented('certificate-revoke', presented, origin, now, { reason: plain }),
  });
  if (decision.accepted) return undefined;
  if (decision.refusal === 'already-revoked' || decision.refusal === 'nothing-to-revoke')
    return refuse('already-revoked', 'The certificate is revoked already.');
  return refuse('token-used', 'The token was used before. A token works once: make a new one.');
}
