/**
 * POST /ssh/revoke: a certificate revokes itself (protocol/renewal.ts; step-wire 1.5). Possession of *a* certificate is no authority over
 * another one (CVE-2025-66406): what is revoked is the certificate that made the token, and the request may only agree.
 */
import { SshRevokeReply, SshRevokeRequest } from '#protocol/renewal.ts';
import {
  auditRefusal,
  isOnRecord,
  noteOfPresented,
  proveCertificate,
  refusalOfUnknown,
} from '../../lineage/presented.ts';
import { type ProvenCertificate, useOf } from '../../lineage/sshpop-token.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { CertificateRecord } from '../../store/records.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshRevokeRoute(server: CaServer, live: ContextSource): void {
  const schema = { body: SshRevokeRequest, response: { 200: SshRevokeReply } };
  server.post('/ssh/revoke', { schema }, async (request, reply) => {
    const context = live.current;
    const [now, origin] = [context.now(), originOf(request)];
    const presented = await readOwn(request.body.ott, now, context);
    const fault = isRefusal(presented) ? presented : findFault(request.body, presented, now);
    if (isRefusal(presented) || fault !== undefined) {
      const refusal = isRefusal(presented) ? presented : (fault as Refusal);
      return sendRefusal(reply, await auditRefusal('certificate-revoke', refusal, origin, context));
    }
    const refusal = await revokeSelf(request.body, presented, origin, now, context);
    return refusal === undefined ? { status: 'ok' as const } : sendRefusal(reply, refusal);
  });
}

/** Its own certificate, of a host or a user. */
interface OwnCertificate {
  readonly proven: ProvenCertificate;
  readonly record: CertificateRecord;
}

async function readOwn(token: string, now: bigint, context: CaContext): Promise<OwnCertificate | Refusal> {
  const proven = proveCertificate(token, 'revoke', 'all', now, context);
  if (isRefusal(proven)) return proven;
  const { type, serial } = proven.certificate;
  const record = serial === 0n ? null : await context.store.certificate(serial);
  return record !== null && isOnRecord(proven, record) ? { proven, record } : refusalOfUnknown(type);
}

function findFault({ serial }: SshRevokeRequest, { proven, record }: OwnCertificate, now: bigint): Refusal | undefined {
  if (serial !== String(proven.certificate.serial))
    return refuse('not-your-certificate', 'A certificate can revoke itself, and no other one.');
  if (record.validBefore <= now)
    return refuse('certificate-expired', 'The certificate has expired: there is nothing left to revoke.');
  return undefined;
}

async function revokeSelf(
  { reason = '' }: SshRevokeRequest,
  presented: OwnCertificate,
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
