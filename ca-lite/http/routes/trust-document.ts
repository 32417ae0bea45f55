/** GET /ssh/trust: the CA keys to trust and where the KRL is, in one signed document (protocol/trust.ts). */
import { KRL_PATH, TRUST_DOCUMENT_TYPE, TRUST_NAMESPACE, type TrustDocument, TrustReply } from '#protocol/trust.ts';
import type { CaParts } from '../context.ts';
import type { CaServer } from '../typed-server.ts';

export function trustDocumentRoute(server: CaServer, { statements, store, trust, now }: CaParts): void {
  server.get('/ssh/trust', { schema: { response: { 200: TrustReply } } }, async (_request, reply) => {
    const time = now();
    const { number } = await store.krlState();
    const document: TrustDocument = {
      type: TRUST_DOCUMENT_TYPE,
      number: trust.number,
      issuedAt: Number(time),
      hostCas: [...trust.hostCas],
      userCas: [...trust.userCas],
      krl: { number: String(number), path: KRL_PATH },
    };
    reply.header('cache-control', 'no-cache');
    return statements.signJson(document, TRUST_NAMESPACE, time);
  });
}
