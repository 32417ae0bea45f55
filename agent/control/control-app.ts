/** The routes of the control API. Each route is a line of protocol/control.ts. */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { ControlAnswer, type ControlError, ControlSessionRequest, ControlSignInRequest } from '#protocol/control.ts';
import type { ControlParts } from './control-server.ts';

const KEEP_ALIVE_MS = 15_000;
const MAX_BODY_LENGTH = 16 * 1024;

export async function createControlApp(parts: Omit<ControlParts, 'socket'>): Promise<FastifyInstance> {
  const app = fastify({ logger: false, bodyLimit: MAX_BODY_LENGTH, forceCloseConnections: true });
  app.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    // only our own words leave: what a library says may repeat the request
    if (status < 500) return sendError(reply, status, 'bad-request', 'the request is not one of the control API');
    return sendError(reply, 500, 'internal-error', 'the agent failed; its log says why');
  });
  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'not-found', 'the control API has no such route'));
  app.get('/v1/state', () => parts.state());
  app.get('/v1/events', (_request, reply) => {
    reply.hijack();
    sendEvents(reply, parts);
  });
  app.post<{ Params: { id: string }; Body: ControlAnswer }>(
    '/v1/questions/:id/answer',
    { schema: { body: ControlAnswer } },
    (request, reply) => {
      const consent = request.body.allow ? 'allowed' : 'denied';
      if (parts.queue.answer(request.params.id, consent)) return { outcome: consent };
      return sendError(reply, 404, 'question-gone', 'that question was answered, withdrawn or ran out of time');
    },
  );
  addSignIn(app, parts);
  await app.ready();
  return app;
}

function addSignIn(app: FastifyInstance, { signIn }: Pick<ControlParts, 'signIn'>): void {
  app.post<{ Body: ControlSignInRequest }>(
    '/v1/sign-in',
    { schema: { body: ControlSignInRequest } },
    async (request) => ({
      id: (await signIn.start(request.body)).id,
    }),
  );
  app.post<{ Params: { id: string } }>('/v1/sign-in/:id/cancel', (request, reply) =>
    signIn.cancel(request.params.id)
      ? { cancelled: true }
      : sendError(reply, 404, 'sign-in-gone', 'that sign-in is over'),
  );
  const schema = { body: ControlSessionRequest };
  app.post<{ Body: ControlSessionRequest }>('/v1/sign-out', { schema }, async (request) => ({
    sessions: await signIn.signOut(request.body),
  }));
  app.post<{ Body: ControlSessionRequest }>('/v1/renew', { schema }, async (request, reply) => {
    const sessions = await signIn.renew(request.body);
    if (sessions.length > 0) return { sessions };
    return sendError(reply, 404, 'no-session', 'nobody is signed in');
  });
}

function sendError(reply: FastifyReply, status: number, code: ControlError['code'], message: string): FastifyReply {
  return reply.status(status).send({ code, message } satisfies ControlError);
}

/** Server-sent events: the whole state at once and after each change, a comment now and then to notice a dead client. */
function sendEvents(
  reply: FastifyReply,
  { state, changes, watchers }: Pick<ControlParts, 'state' | 'changes' | 'watchers'>,
): void {
  const stream = reply.raw;
  stream.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let isBehind = false;
  const send = (): void => {
    // a client that does not read gets the newest state when it reads again, not a queue of old ones
    if (stream.writableNeedDrain) isBehind = true;
    else stream.write(`event: state\ndata: ${JSON.stringify(state())}\n\n`);
  };
  const listening = changes.listen(send);
  watchers.count++;
  const timer = setInterval(() => stream.write(':\n\n'), KEEP_ALIVE_MS).unref();
  stream.on('drain', () => {
    if (!isBehind) return;
    isBehind = false;
    send();
  });
  stream.once('close', () => {
    watchers.count--;
    clearInterval(timer);
    listening[Symbol.dispose]();
  });
  send();
}
