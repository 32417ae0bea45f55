/**
 * Client of the YubiHSM connector's HTTP API: `GET /connector/status` and `POST /connector/api` (yubihsm-connector 3.x,
 * `api.go`).
 *
 * A request carries its Content-Length, since the connector refuses chunked bodies; an answer is read up to its bound and
 * no further. The connector does one command at a time, so one connection is enough; it closes an idle one after 5
 * seconds, so ours are dropped earlier.
 *
 * Refused on purpose: credentials in the URL, redirects, answers that are longer than a message can be.
 */
import { Client, errors } from 'undici';
import { HsmError } from './errors.ts';
import { maxMessage } from './frame.ts';

const maxStatusBytes = 1024;
const idleConnectionMs = 3000;

/** What the connector says of itself. Text of the connector is cut to what it may hold. */
export interface ConnectorStatus {
  deviceFound: boolean;
  version: string;
}

/** Carries messages to one device. */
export interface Connector extends AsyncDisposable {
  /** The URL, for people. */
  readonly name: string;
  status(signal: AbortSignal): Promise<ConnectorStatus>;
  /**
   * Sends one message and returns the answer. Throws {@link HsmError} `connector-unreachable` when the message was surely
   * not sent, `outcome-unknown` when it may have been, `connector-failed` when the connector has no answer of the device.
   */
  exchange(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** Opens a connector, such as `http://127.0.0.1:12345`. Connects when it is first used. */
export function openConnector(url: string): Connector {
  const origin = checkedOrigin(url);
  const client = new Client(origin, {
    pipelining: 1,
    keepAliveTimeout: idleConnectionMs,
    keepAliveMaxTimeout: idleConnectionMs,
    connect: { timeout: 5000 },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    name: origin,
    status: (signal) => readStatus(client, origin, signal),
    exchange: (message, signal) => exchange(client, origin, message, signal),
    [Symbol.asyncDispose]: () => client.destroy(),
  };
}

function checkedOrigin(text: string): string {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password || url.pathname !== '/') {
    throw new HsmError('bad-input', 'a connector is given as http://host:port, with nothing behind it');
  }
  return url.origin;
}

async function exchange(client: Client, name: string, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return request(client, name, '/connector/api', maxMessage, signal, message);
}

async function readStatus(client: Client, name: string, signal: AbortSignal): Promise<ConnectorStatus> {
  const body = await request(client, name, '/connector/status', maxStatusBytes, signal);
  const lines = Buffer.from(body).toString('latin1').split('\n');
  const version = lines.find((line) => /^version=[\w.+-]{1,40}$/.test(line))?.slice('version='.length);
  return { deviceFound: lines.includes('status=OK'), version: version ?? 'unknown' };
}

async function request(
  client: Client,
  name: string,
  path: string,
  bound: number,
  signal: AbortSignal,
  body?: Uint8Array,
): Promise<Uint8Array> {
  try {
    const headers = body ? { 'content-type': 'application/octet-stream', 'content-length': String(body.length) } : {};
    const answer = await client.request({
      method: body ? 'POST' : 'GET',
      path,
      headers,
      signal,
      ...(body && { body }),
    });
    const bytes = await readBounded(answer.body, bound);
    if (answer.statusCode !== 200) {
      throw new HsmError(
        'connector-failed',
        `the connector ${name} answered with HTTP status ${answer.statusCode}: is the device plugged in?`,
      );
    }
    return bytes;
  } catch (error) {
    throw explain(error, name);
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>, bound: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bound) throw new HsmError('answer-malformed', `the connector's answer is longer than ${bound} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const notSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);

function explain(error: unknown, name: string): HsmError {
  if (error instanceof HsmError) return error;
  const code = (error as { code?: unknown }).code;
  const unsent = error instanceof errors.ConnectTimeoutError || (typeof code === 'string' && notSent.has(code));
  if (unsent) {
    return new HsmError('connector-unreachable', `no connection to the connector ${name}: is it running?`, {
      cause: error,
    });
  }
  return new HsmError('outcome-unknown', `the connection to the connector ${name} broke`, { cause: error });
}
