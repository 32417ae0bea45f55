/**
 * The listener that the browser comes back to (RFC 8252 section 7.3): on loopback alone, for one answer. Requests to other paths, with
 * another state or under another name are turned away and end nothing: any program and any web page can send them. Does I/O.
 */
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { systemErrorCode, systemErrorReason } from '../../failure.ts';
import { type Page, receivedPage, refusedPage, strangePage } from './final-page.ts';
import { LoginError } from './login-error.ts';
import { type RedirectTarget, parseRedirectTarget, redirectUri } from './redirect-target.ts';

const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;
/** A free port for one address of `localhost` may be taken at the other. */
const MAX_FREE_PORT_TRIES = 8;

export interface LoopbackListener extends AsyncDisposable {
  /** What to tell the provider: with the port that was found. */
  readonly redirectUri: string;
  /** The address that the browser came back with, query included: the first with this state. @throws the reason of `signal` */
  answer(state: string, signal: AbortSignal): Promise<URL>;
}

/**
 * Listens at the first of `uris` that is free.
 * @throws LoginError `loopback-taken`, `provisioner-unusable`
 */
export async function openLoopbackListener(uris: readonly string[]): Promise<LoopbackListener> {
  const targets = uris.map(parseRedirectTarget);
  let reason: unknown;
  for (const target of targets) {
    try {
      return new Listener(target, await listenAt(target));
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
      reason = error;
    }
  }
  const places = targets.map(({ host, port }) => `${host}:${port}`).join(', ');
  throw new LoginError('loopback-taken', `cannot listen at ${places}: ${reasonOf(reason)}`, {
    cause: reason,
    advice:
      'The identity provider sends the browser to no other port. See which program is there (ss -ltnp) and end it, or sign in with --device.',
  });
}

function reasonOf(error: unknown): string {
  return systemErrorCode(error) === 'EADDRINUSE' ? 'another program is there' : systemErrorReason(error);
}

async function listenAt(target: RedirectTarget): Promise<readonly Server[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listenOnce(target);
    } catch (error) {
      if (target.port !== 0 || systemErrorCode(error) !== 'EADDRINUSE' || attempt === MAX_FREE_PORT_TRIES) throw error;
    }
  }
}

/** One server for each address, all at one port. An address that this machine does not have is left out when another is there. */
async function listenOnce({ addresses, port }: RedirectTarget): Promise<readonly Server[]> {
  const servers: Server[] = [];
  let missing: unknown;
  try {
    for (const host of addresses) {
      try {
        servers.push(await startServer(host, portOf(servers) ?? port));
      } catch (error) {
        if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(systemErrorCode(error) ?? '')) throw error;
        missing = error;
      }
    }
    if (servers.length === 0) throw missing;
    return servers;
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
}

async function startServer(host: string, port: number): Promise<Server> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
  boundConnections(server);
  const listening = once(server, 'listening');
  server.listen({ host, port, exclusive: true, ipv6Only: true });
  await listening;
  return server;
}

/** The oldest connection gives way to a new one: any program can connect and say nothing, and the browser must get in all the same. */
function boundConnections(server: Server): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > MAX_CONNECTIONS) oldest?.destroy();
  });
}

function portOf([server]: readonly Server[]): number | undefined {
  return (server?.address() as AddressInfo | undefined)?.port;
}

async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), 1000).unref(); // the page gets its time
      await closed;
    }),
  );
}

class Listener implements LoopbackListener {
  readonly redirectUri: string;
  readonly #target: RedirectTarget;
  readonly #servers: readonly Server[];
  /** What the browser must name as host: a web page that had its own name point here names another (DNS rebinding). */
  readonly #authority: string;

  constructor(target: RedirectTarget, servers: readonly Server[]) {
    const port = portOf(servers) ?? target.port;
    this.#target = target;
    this.#servers = servers;
    this.redirectUri = redirectUri(target, port);
    this.#authority = port === 80 ? target.host : `${target.host}:${port}`;
    for (const server of servers) server.on('request', (_, response: ServerResponse) => send(response, strangePage));
  }

  async answer(state: string, signal: AbortSignal): Promise<URL> {
    signal.throwIfAborted();
    const answered = Promise.withResolvers<URL>();
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      const url = this.#answerIn(request, state);
      if (url === undefined) return send(response, strangePage);
      send(response, url.searchParams.has('error') ? refusedPage : receivedPage);
      answered.resolve(url);
    };
    const abort = (): void => answered.reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    for (const server of this.#servers) server.removeAllListeners('request').on('request', onRequest);
    try {
      return await answered.promise;
    } finally {
      signal.removeEventListener('abort', abort);
      await this[Symbol.asyncDispose](); // one shot
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stopAll(this.#servers);
  }

  #answerIn({ method, url = '', headers }: IncomingMessage, state: string): URL | undefined {
    if (method !== 'GET' || headers.host !== this.#authority || !url.startsWith('/')) return undefined;
    if (url.split('?', 1)[0] !== this.#target.path) return undefined;
    const query = url.slice(this.#target.path.length);
    if (!URL.canParse(query, this.redirectUri)) return undefined;
    const answer = new URL(query === '' ? this.redirectUri : query, this.redirectUri);
    const states = answer.searchParams.getAll('state');
    return states.length === 1 && states[0] === state ? answer : undefined;
  }
}

function send(response: ServerResponse, { status, headers, html }: Page): void {
  response.writeHead(status, headers).end(html);
}
