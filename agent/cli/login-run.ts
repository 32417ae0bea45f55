/** `countersign login`: with our agent the sign-in is the agent's, and this shows it; with another ssh-agent it is done here. */
import { resolve } from 'node:path';
import type { ControlSession, ControlSignIn, ControlSignInRequest } from '#protocol/control.ts';
import { cancelSignIn, fetchState, startSignIn, watchStates } from '../control/control-client.ts';
import { printable } from '../ca/foreign-text.ts';
import { Failure } from '../failure.ts';
import { requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { chooseAgent } from '../user/agent-choice.ts';
import { AgentFailure } from '../user/agent-failure.ts';
import { formatDevicePrompt } from '../user/login/device-prompt.ts';
import { formatUtc } from './certificate-text.ts';
import { catchInterrupts } from './interrupt.ts';
import type { LoginOptions } from './login.ts';
import { chooseFlow, showUrl } from './login-browser.ts';

/** @throws AgentFailure, StateError, and the failure of the sign-in with its code */
export async function runLogin(options: LoginOptions): Promise<void> {
  const agent = await chooseAgent(options.socket); // before the person goes to sign in for nothing
  if (agent.control === undefined) {
    const { signInToForeignAgent } = await import('./login-foreign-run.ts');
    return signInToForeignAgent(options, agent.socket);
  }
  await requireAuthority(stateDirectoryPath(options.stateDir)); // said here better than from afar
  const session = await signInWithAgent(agent.control, options);
  process.stdout.write(options.json === true ? formatJson(session, agent.socket) : formatText(session));
}

async function signInWithAgent(control: string, options: LoginOptions): Promise<ControlSession> {
  if ((await fetchState(control)).locked) throw locked();
  using interrupts = catchInterrupts();
  const id = await startSignIn(control, requestOf(options));
  try {
    return await follow(control, id, options, interrupts.signal);
  } catch (error) {
    if (!interrupts.signal.aborted) throw error;
    await cancelSignIn(control, id).catch(() => undefined); // it may be over, or the agent gone
    throw interrupts.signal.reason;
  }
}

function requestOf(options: LoginOptions): ControlSignInRequest {
  const { provisioner, providerCa, timeout } = options;
  return {
    flow: chooseFlow(options),
    timeoutSeconds: timeout,
    stateDirectory: stateDirectoryPath(options.stateDir),
    ...(provisioner === undefined ? {} : { provisioner }),
    ...(providerCa === undefined ? {} : { providerCa: resolve(providerCa) }),
  };
}

/** The session that the sign-in brought. */
async function follow(
  control: string,
  id: string,
  options: LoginOptions,
  signal: AbortSignal,
): Promise<ControlSession> {
  let isShown = false;
  for await (const { signIn } of watchStates(control, signal)) {
    const current = signIn.signIns.find((each) => each.id === id);
    if (current === undefined) break;
    if (current.phase === 'failed') throw failureOf(current);
    if (current.phase === 'done') {
      const session = signIn.sessions.find((each) => each.id === current.session);
      if (session !== undefined) return session;
      break;
    }
    if (current.phase === 'waiting' && !isShown) {
      isShown = true;
      await show(current, options);
    }
  }
  throw new AgentFailure('sign-in-gone', 'the sign-in is over, and the agent does not tell what came of it', {
    advice: 'See what it holds with: countersign status',
  });
}

async function show({ url = '', code, completeUrl }: ControlSignIn, options: LoginOptions): Promise<void> {
  if (code === undefined) return showUrl(new URL(url), options);
  const complete = completeUrl === undefined ? {} : { completeUrl: new URL(completeUrl) };
  const qr = process.stderr.isTTY && options.json !== true;
  process.stderr.write(formatDevicePrompt({ url: new URL(url), code, ...complete }, { qr }));
}

function failureOf({ failure }: ControlSignIn): Failure {
  const { code, message, advice } = failure ?? { code: 'internal', message: 'the sign-in failed' };
  return new Failure(code, message, advice === undefined ? {} : { advice });
}

function locked(): AgentFailure {
  return new AgentFailure('agent-locked', 'the agent is locked, and would not show what a sign-in brings', {
    advice: 'Unlock it with: ssh-add -X',
  });
}

function formatJson({ provisioner, certificate }: ControlSession, socket: string): string {
  const { serial, keyId, principals, validAfter = 0, expiresAt = 0 } = certificate ?? {};
  const validity = { validAfter: utc(validAfter), validBefore: utc(expiresAt) };
  return `${JSON.stringify({ provisioner, serial, keyId, principals, ...validity, agent: socket }, null, 2)}\n`;
}

function formatText({ provisioner, certificate, renewal, refreshToken }: ControlSession): string {
  const { keyId = '', principals = [], expiresAt = 0 } = certificate ?? {};
  const kept = refreshToken === 'keychain' ? ', also after a restart' : ' until the agent ends';
  const lines = [
    `Signed in with ${printable(provisioner, 64)}: ${printable(keyId, 256)}`,
    `  for the accounts ${printable(principals.join(' '), 1024)}`,
    `  until ${utc(expiresAt)}`,
    renewal.way === 'none'
      ? 'It cannot be renewed without you: sign in again when it has ended.'
      : `The agent renews it${kept}. End it with: countersign logout`,
    'The key and its certificate are in the agent: see them with ssh-add -l.',
  ];
  return `${lines.join('\n')}\n`;
}

function utc(epochMs: number): string {
  return formatUtc(BigInt(Math.floor(epochMs / 1000)));
}
