/**
 * A client of the user agent's control API, for the commands of the terminal. Replies are checked against the schemas:
 * another program at that socket must not look like an agent.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { TSchema, Static } from 'typebox';
import { Check } from 'typebox/value';
import {
  ControlAnswerReply,
  ControlCancelReply,
  ControlError,
  ControlRenewReply,
  type ControlSessionRequest,
  ControlSignInReply,
  type ControlSignInRequest,
  ControlSignOutReply,
  ControlState,
} from '#protocol/control.ts';
import { AgentFailure } from '../user/agent-failure.ts';
import { readableBytes } from '../user/readable-bytes.ts';

const MAX_REPLY_LENGTH = 4 * 1024 * 1024;
/** The agent loads its part of the control API at the first request; a machine may have much else to do. */
const REQUEST_TIMEOUT_MS = 60_000;
/** For what asks the identity provider and the CA, and waits for both. */
const PROVIDER_TIMEOUT_MS = 180_000;

/** @throws AgentFailure */
export async function fetchState(socket: string): Promise<ControlState> {
  return send(socket, 'GET', '/v1/state', ControlState);
}

/** @returns what the answer came to @throws AgentFailure `question-gone` when somebody else answered, or nobody in time */
export async function answerQuestion(socket: string, id: string, allow: boolean): Promise<'allowed' | 'denied'> {
  const path = `/v1/questions/${encodeURIComponent(id)}/answer`;
  return (await send(socket, 'POST', path, ControlAnswerReply, { body: { allow } })).outcome;
}

/** Starts a sign-in. @returns its id in `signIn.signIns` of the state @throws AgentFailure */
export async function startSignIn(socket: string, request: ControlSignInRequest): Promise<string> {
  return (await send(socket, 'POST', '/v1/sign-in', ControlSignInReply, { body: request })).id;
}

/** @throws AgentFailure `sign-in-gone` when it is over */
export async function cancelSignIn(socket: string, id: string): Promise<void> {
  await send(socket, 'POST', `/v1/sign-in/${encodeURIComponent(id)}/cancel`, ControlCancelReply, { body: {} });
}

/** @throws AgentFailure */
export async function signOut(socket: string, request: ControlSessionRequest): Promise<ControlSignOutReply> {
  const path = '/v1/sign-out';
  return send(socket, 'POST', path, ControlSignOutReply, { body: request, timeoutMs: PROVIDER_TIMEOUT_MS });
}

/** @throws AgentFailure `no-session` when nobody is signed in */
export async function renewSessions(socket: string, request: ControlSessionRequest): Promise<ControlRenewReply> {
  const path = '/v1/renew';
  return send(socket, 'POST', path, ControlRenewReply, { body: request, timeoutMs: PROVIDER_TIMEOUT_MS });
}

/** Every state from now on, the first at once. Ends when the agent ends. @throws AgentFailure */
export async function* watchStates(socket: string, signal?: AbortSignal): AsyncGenerator<ControlState> {
  const response = await open(socket, 'GET', '/v1/events', undefined, signal);
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_REPLY_LENGTH) throw foreign();
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield parse(data, ControlState);
    }
  }
}

async function send<Schema extends TSchema>(
  socket: string,
  method: string,
  path: string,
  schema: Schema,
  { body, timeoutMs = REQUEST_TIMEOUT_MS }: { readonly body?: unknown; readonly timeoutMs?: number } = {},
): Promise<Static<Schema>> {
  const response = await open(socket, method, path, body, AbortSignal.timeout(timeoutMs));
  const text = Buffer.from(await readableBytes(response, MAX_REPLY_LENGTH)).toString('utf8');
  if (response.statusCode === 200) return parse(text, schema);
  const { code, message } = parse(text, ControlError);
  if (code === 'question-gone' || code === 'sign-in-gone') throw new AgentFailure(code, message);
  if (code === 'no-session') throw new AgentFailure(code, message, { advice: 'Sign in with: countersign login' });
  throw new AgentFailure('no-agent', message);
}

function parse<Schema extends TSchema>(text: string, schema: Schema): Static<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw foreign(cause);
  }
  if (!Check(schema, value)) throw foreign();
  return value;
}

async function open(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const request = httpRequest(
    { socketPath, method, path, headers, ...(signal === undefined ? {} : { signal }) },
    resolve,
  );
  request.on('error', reject);
  request.end(body === undefined ? undefined : JSON.stringify(body));
  try {
    return await promise;
  } catch (cause) {
    throw new AgentFailure('no-agent', `the agent's control socket ${socketPath} does not answer`, {
      advice: 'Start an agent with: countersign agent',
      cause,
    });
  }
}

function foreign(cause?: unknown): AgentFailure {
  return new AgentFailure('no-agent', 'what answers at the control socket is not a Countersign agent of this version', {
    cause,
  });
}
