/** GET /ssh/krl and GET /ssh/krl.sig: what is revoked, and the CA's signature over it (protocol/trust.ts; docs/revocation.md). */
import { armorSshsig } from '#openssh/sshsig.ts';
import { KRL_NAMESPACE, KRL_NUMBER_HEADER, KRL_PATH } from '#protocol/trust.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PublishedKrl } from '../../revocation/krl-builder.ts';
import type { CaParts } from '../context.ts';
import type { CaServer } from '../typed-server.ts';

export function sshKrlRoutes(server: CaServer, { krl, statements, now }: CaParts): void {
  server.get(KRL_PATH, async (request, reply) => {
    const current = await krl.current();
    if (isKnown(request, reply, current)) return reply.code(304).send();
    return reply.type('application/octet-stream').send(viewOf(current.bytes));
  });
  server.get(`${KRL_PATH}.sig`, async (request, reply) => {
    const current = await krl.current();
    if (isKnown(request, reply, current)) return reply.code(304).send();
    const signatures = await statements.signDigest(current.sha512, KRL_NAMESPACE, now());
    return reply.type('text/plain').send(signatures.map((signature) => armorSshsig(signature)).join(''));
  });
}

/** Without a copy: it may be megabytes, and is never changed. */
function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Sets the validators of the answer; true when the client has this KRL already. */
function isKnown(request: FastifyRequest, reply: FastifyReply, { etag, number }: PublishedKrl): boolean {
  reply.header('etag', etag).header(KRL_NUMBER_HEADER, String(number)).header('cache-control', 'no-cache');
  const known = request.headers['if-none-match'] ?? '';
  return known.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
