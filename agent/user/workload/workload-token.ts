/**
 * Where a workload has its ID token from: a file that its platform keeps fresh, a program that prints one, or the token service of a CI run
 * (ACTIONS_ID_TOKEN_REQUEST_URL, as GitHub Actions has it). Does I/O. The token is a secret: it is in no message, argument or log.
 */
import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { systemErrorCode, systemErrorReason } from '../../failure.ts';
import { transportError } from '../../ca/transport-error.ts';
import { openProviderFetch } from '../login/provider-fetch.ts';
import { WorkloadError } from './workload-error.ts';

export type TokenSource =
  | { readonly kind: 'file'; readonly path: string }
  /** Started without a shell and without arguments; COUNTERSIGN_AUDIENCE says whom the token has to be for. */
  | { readonly kind: 'command'; readonly program: string }
  | { readonly kind: 'actions'; readonly environment: NodeJS.ProcessEnv; readonly ca: string | undefined };

/** As much as the CA takes. */
const MAX_TOKEN_BYTES = 32 * 1024;
const COMMAND_LIMIT_MS = 60_000;
const SERVICE_TIMEOUT_MS = 15_000;

const ServiceReply = Type.Object({ value: Type.String({ minLength: 1, maxLength: MAX_TOKEN_BYTES }) });

/** @param audience whom the token has to be for @throws WorkloadError, the reason of `signal` */
export async function obtainToken(source: TokenSource, audience: string, signal: AbortSignal): Promise<string> {
  const text = await textFrom(source, audience, signal);
  const token = text.trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw new WorkloadError('workload-token-malformed', `what came from ${nameOf(source)} is not a signed token (JWT)`, {
    advice: 'It has to be the token alone: three parts of base64url with dots between them.',
  });
}

async function textFrom(source: TokenSource, audience: string, signal: AbortSignal): Promise<string> {
  if (source.kind === 'file') return readBounded(source.path);
  if (source.kind === 'command') return runCommand(source.program, audience, signal);
  return askService(source, audience, signal);
}

function nameOf(source: TokenSource): string {
  if (source.kind === 'file') return source.path;
  return source.kind === 'command' ? source.program : 'the token service of this run';
}

async function readBounded(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_TOKEN_BYTES + 1), 0);
    return buffer.toString('latin1', 0, bytesRead);
  } catch (cause) {
    throw unavailable(
      `${path} cannot be read: ${systemErrorReason(cause)}`,
      cause,
      'Name the file that the platform writes the token to.',
    );
  }
}

async function runCommand(program: string, audience: string, signal: AbortSignal): Promise<string> {
  const done = Promise.withResolvers<string>();
  const env = { ...process.env, COUNTERSIGN_AUDIENCE: audience };
  const options = {
    env,
    signal,
    timeout: COMMAND_LIMIT_MS,
    maxBuffer: MAX_TOKEN_BYTES,
    killSignal: 'SIGKILL' as const,
  };
  const child = execFile(program, [], options, (error, stdout) => {
    if (signal.aborted) return done.reject(signal.reason as Error);
    if (error === null) return done.resolve(stdout);
    const started = systemErrorCode(error) === undefined;
    const why = started
      ? `ended with status ${child.exitCode ?? 'none'}`
      : `does not start: ${systemErrorReason(error)}`;
    return done.reject(
      unavailable(`${program} ${why}`, undefined, 'Run it yourself: it has to print the token and end with 0.'),
    );
  });
  child.stdin?.end();
  return done.promise;
}

async function askService(
  { environment, ca }: Extract<TokenSource, { kind: 'actions' }>,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: address = '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer = '' } = environment;
  if (!URL.canParse(address) || new URL(address).protocol !== 'https:' || bearer === '') {
    const advice = 'In GitHub Actions the job needs: permissions: id-token: write';
    throw unavailable('this run has no token service (ACTIONS_ID_TOKEN_REQUEST_URL)', undefined, advice);
  }
  const url = new URL(address);
  url.searchParams.set('audience', audience);
  await using http = openProviderFetch(ca === undefined ? [] : [ca], SERVICE_TIMEOUT_MS, signal);
  try {
    const headers = { authorization: `bearer ${bearer}`, accept: 'application/json' };
    const reply = await http.fetch(url.href, { method: 'GET', headers, body: null, redirect: 'manual' });
    const body: unknown = reply.status === 200 ? await reply.json() : undefined;
    if (Value.Check(ServiceReply, body)) return body.value;
    throw unavailable(`the token service of this run answered with status ${reply.status}`, undefined, 'Try again.');
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WorkloadError) throw error;
    throw unavailable(transportError(error, 'the token service of this run').message, error, 'Try again.');
  }
}

function unavailable(message: string, cause: unknown, advice: string): WorkloadError {
  return new WorkloadError('workload-token-unavailable', message, { cause, advice });
}
