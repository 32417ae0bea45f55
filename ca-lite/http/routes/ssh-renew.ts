/** POST /ssh/renew: a host certificate renews itself (protocol/renewal.ts; step-wire 1.5; docs/lineage.md). */
import { encodeBase64 } from '#openssh/base64.ts';
import { SshRenewReply, SshRenewRequest } from '#protocol/renewal.ts';
import { auditRefusal, readPresented } from '../../lineage/presented.ts';
import { renewHost } from '../../lineage/renew-host.ts';
import { isRefusal } from '../../refusal.ts';
import type { CaContext } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { signalOf } from '../request-end.ts';
import { originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshRenewRoute(server: CaServer, context: CaContext): void {
  const schema = { body: SshRenewRequest, response: { 201: SshRenewReply } };
  server.post('/ssh/renew', { schema }, async (request, reply) => {
    const [now, origin] = [context.now(), originOf(request)];
    const presented = await readPresented(request.body.ott, 'renew', now, context);
    if (isRefusal(presented))
      return sendRefusal(reply, await auditRefusal('certificate-renew', presented, origin, context));
    const { key } = presented.proven.certificate;
    const wish = { operation: 'renew', presented, key, origin, signal: signalOf(reply), now } as const;
    const result = await renewHost(wish, context);
    if (isRefusal(result)) return sendRefusal(reply, result);
    return reply.code(201).send({ crt: encodeBase64(result.certificate) });
  });
}
