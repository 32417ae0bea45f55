/** POST /ssh/renew: a certificate of a host or of a user renews itself (protocol/renewal.ts; step-wire 1.5; docs/lineage.md, docs/oidc.md). */
import { encodeBase64 } from '#openssh/base64.ts';
import { SshRenewReply, SshRenewRequest } from '#protocol/renewal.ts';
import { auditRefusal, proveCertificate, readPresentedHost } from '../../lineage/presented.ts';
import { readPresentedUser } from '../../lineage/presented-user.ts';
import { type RenewedUser, renewUser } from '../../lineage/renew-user.ts';
import { renewHost } from '../../lineage/renew-host.ts';
import type { ProvenCertificate } from '../../lineage/sshpop-token.ts';
import { type Refusal, isRefusal } from '../../refusal.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { signalOf } from '../request-end.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshRenewRoute(server: CaServer, live: ContextSource): void {
  const schema = { body: SshRenewRequest, response: { 201: SshRenewReply } };
  server.post('/ssh/renew', { schema }, async (request, reply) => {
    const context = live.current;
    const [now, origin] = [context.now(), originOf(request)];
    const proven = proveCertificate(request.body.ott, 'renew', 'all', now, context);
    if (isRefusal(proven)) return sendRefusal(reply, await auditRefusal('certificate-renew', proven, origin, context));
    const wish = { origin, signal: signalOf(reply), now };
    const renew = proven.certificate.type === 'host' ? renewHostOf : renewUserOf;
    const result = await renew(proven, wish, context);
    if (isRefusal(result)) return sendRefusal(reply, result);
    const { certificate, signIn } = result;
    return reply.code(201).send({ crt: encodeBase64(certificate), ...(signIn === undefined ? {} : { signIn }) });
  });
}

interface Wish {
  readonly origin: RequestOrigin;
  readonly signal: AbortSignal;
  readonly now: bigint;
}

async function renewHostOf(proven: ProvenCertificate, wish: Wish, context: CaContext): Promise<RenewedUser | Refusal> {
  const presented = await readPresentedHost(proven, context);
  if (isRefusal(presented)) return auditRefusal('certificate-renew', presented, wish.origin, context);
  return renewHost({ operation: 'renew', presented, key: proven.certificate.key, ...wish }, context);
}

async function renewUserOf(proven: ProvenCertificate, wish: Wish, context: CaContext): Promise<RenewedUser | Refusal> {
  const presented = await readPresentedUser(proven, context);
  if (isRefusal(presented)) return auditRefusal('certificate-renew', presented, wish.origin, context, 'user');
  return renewUser({ presented, ...wish }, context);
}
