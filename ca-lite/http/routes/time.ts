/** GET /time: the CA's time, signed, for devices without a clock (protocol/signed-time.ts). */
import {
  TIME_NAMESPACE,
  TIME_STATEMENT_TYPE,
  TimeQuery,
  TimeReply,
  type TimeStatement,
} from '#protocol/signed-time.ts';
import type { CaParts } from '../context.ts';
import type { CaServer } from '../typed-server.ts';

export function timeRoute(server: CaServer, { statements, now }: CaParts): void {
  const schema = { querystring: TimeQuery, response: { 200: TimeReply } };
  server.get('/time', { schema }, async ({ query: { nonce } }, reply) => {
    const time = now();
    const statement: TimeStatement = { type: TIME_STATEMENT_TYPE, nonce, time: Number(time) };
    reply.header('cache-control', 'no-store');
    return statements.signJson(statement, TIME_NAMESPACE, time);
  });
}
