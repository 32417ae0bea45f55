/**
 * The HTTPS server: the routes of the CA at `/` and at `/1.0`, one error shape, bounded requests, metrics, and the OpenAPI document made
 * from the same schemas that judge the requests. Closing it lets requests in flight finish.
 */
import { randomUUID } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import swagger from '@fastify/swagger';
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, { type FastifyRequest, LogController } from 'fastify';
import { ApiErrorBody, isApiErrorCode } from '#protocol/api-error.ts';
import { version } from '#protocol/version.ts';
import { answerBrokenRequest, refusePath } from './broken-request.ts';
import type { CaContext, ContextSource } from './context.ts';
import { Drain } from './drain.ts';
import { sendFailure, sendRefusal, tooManyRefusals, unknownRoute, wrongMethod } from './failure.ts';
import { type Metrics, createMetrics } from './metrics.ts';
import { RefusalBudget } from './refusal-budget.ts';
import { originOf } from './request-origin.ts';
import { hostEnrolmentRoutes } from './routes/host-enrolment.ts';
import { informationRoutes } from './routes/information.ts';
import { sshKrlRoutes } from './routes/ssh-krl.ts';
import { sshRekeyRoute } from './routes/ssh-rekey.ts';
import { sshRenewRoute } from './routes/ssh-renew.ts';
import { sshRevokeRoute } from './routes/ssh-revoke.ts';
import { sshSignRoute } from './routes/ssh-sign.ts';
import { sshStatusRoute } from './routes/ssh-status.ts';
import { sshTrustRoutes } from './routes/ssh-trust.ts';
import { timeRoute } from './routes/time.ts';
import { trustDocumentRoute } from './routes/trust-document.ts';
import type { CaServer } from './typed-server.ts';

/** Every body of this API is a few KiB. */
const BODY_LIMIT = 64 * 1024;
/** A dial-back of eight addresses with slow servers takes its time; nothing takes longer. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the pause between two requests of a client that keeps its connection. */
const KEEP_ALIVE_MS = 75_000;
const MAX_CONNECTIONS = 10_000;

/** What never changes is taken here; the rest by each request. */
export async function createServer(
  live: ContextSource,
  tls: SecureContextOptions,
  drain = new Drain(),
): Promise<CaServer> {
  const context = live.current;
  const server = fastify({
    https: { ...tls, minVersion: 'TLSv1.2' },
    loggerInstance: context.log,
    // The audit log has the decisions, the metrics have the counts.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false, // the drain says it in the words of this API
    genReqId: requestIdOf,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: refusePath,
    ajv: { customOptions: { coerceTypes: 'array', removeAdditional: false, useDefaults: false } },
  }) as unknown as CaServer;
  server.server.maxConnections = MAX_CONNECTIONS;
  const metrics = createMetrics(context.store);
  observe(server, metrics);
  drain.watch(server);
  limitRefusals(server, new RefusalBudget());
  server.setErrorHandler(sendFailure);
  server.setNotFoundHandler((request, reply) =>
    sendRefusal(reply, isKnownPath(server, request) ? wrongMethod : unknownRoute),
  );
  await describe(server, context);
  for (const prefix of ['', '/1.0']) await server.register(routesOf(live), { prefix });
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  return server;
}

function routesOf(live: ContextSource): (server: CaServer) => Promise<void> {
  return (server) => {
    // Every route can answer with the error shape; clients made from the OpenAPI document should know.
    server.addHook('onRoute', (route) => {
      const schema = route.schema ?? {};
      route.schema = { ...schema, response: { ...(schema.response as object), default: ApiErrorBody } };
      // Queries are texts and have to be converted; a body is what it is, and null (what a Go client sends for unset) is not "".
      if (schema.body !== undefined) route.validatorCompiler = TypeBoxValidatorCompiler;
    });
    for (const add of [
      informationRoutes,
      sshSignRoute,
      hostEnrolmentRoutes,
      sshRenewRoute,
      sshRekeyRoute,
      sshRevokeRoute,
      sshStatusRoute,
    ])
      add(server, live);
    for (const add of [sshTrustRoutes, sshKrlRoutes, trustDocumentRoute, timeRoute]) add(server, live.current);
    return Promise.resolve();
  };
}

async function describe(server: CaServer, { config, authority }: CaContext): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: `Countersign CA ${config.name}`,
        version,
        description: 'The SSH certificate API. Every route exists at / and at /1.0.',
      },
      servers: [{ url: `https://${authority}` }],
    },
  });
}

/** The client's own id where it is harmless to print, else a new one; it comes back in the reply and stands in log and audit. */
function requestIdOf(request: { readonly headers: Readonly<Record<string, string | string[] | undefined>> }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : randomUUID();
}

function observe(server: CaServer, metrics: Metrics): void {
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (reply.statusCode >= 400 && typeof payload === 'string') countRefusal(payload, metrics);
    done(null, payload);
  });
  server.addHook('onResponse', (request, reply, done) => {
    const route = routeOf(request);
    metrics.requests.inc({ route, status: String(reply.statusCode) });
    metrics.seconds.observe({ route }, reply.elapsedTime / 1000);
    done();
  });
}

/** Refusals that say something about the requester; what is malformed or unknown is answered without any work. */
const budgetedStatuses: ReadonlySet<number> = new Set([401, 403, 409, 429]);

function limitRefusals(server: CaServer, budget: RefusalBudget): void {
  server.addHook('onRequest', (request, reply, done) => {
    const { requester } = originOf(request);
    const seconds = budget.waitSeconds(requester, performance.now());
    if (seconds === 0) done();
    else void sendRefusal(reply, tooManyRefusals(seconds));
  });
  server.addHook('onResponse', (request, reply, done) => {
    const { requester } = originOf(request);
    if (budgetedStatuses.has(reply.statusCode) && budget.spend(requester, performance.now())) {
      request.log.warn({ requester }, 'a requester was refused so often that it has to wait now');
    }
    done();
  });
}

function isKnownPath(server: CaServer, { url }: FastifyRequest): boolean {
  const [path = ''] = url.split('?');
  return (['GET', 'POST'] as const).some((method) => server.hasRoute({ method, url: path }));
}

function routeOf(request: FastifyRequest): string {
  return (request.routeOptions.url ?? 'unknown').replace(/^\/1\.0(?=\/)/, '');
}

function countRefusal(payload: string, { refusals }: Metrics): void {
  const code = /"code":"([a-z-]+)"/.exec(payload)?.[1] ?? '';
  if (isApiErrorCode(code)) refusals.inc({ code });
}
