/**
 * A sign-in that lasts: the stage of `countersign login` with a provider that gives refresh tokens, an agent of its own, what the provider has seen,
 * and an sshd that knows nothing but `TrustedUserCAKeys`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { fetchState } from '#agent/control/control-client.ts';
import { controlSocketOf } from '#agent/user/socket-path.ts';
import type { ControlState } from '#protocol/control.ts';
import type { LabProcess } from '#test/support/lab-process.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';
import { Agent, request } from 'undici';
import { type TestAgent, startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type LoginStage, type LoginStageOptions, openLoginStage } from './login-fixture.ts';

/** For states that come by themselves, on a machine that has much else to do. */
export const patience = { timeout: 90_000, interval: 200 };

export interface SessionStage extends LoginStage {
  /** The refresh tokens that the provider gave, in order. */
  readonly given: readonly string[];
  /** How often somebody came to sign in. */
  readonly visits: () => number;
  /** Whether the provider still takes it (RFC 7662). */
  isActive(refreshToken: string): Promise<boolean>;
  /** Takes a refresh token to the provider, as a thief would. @returns the HTTP status */
  use(refreshToken: string): Promise<number>;
}

export async function openSessionStage(options: LoginStageOptions = {}): Promise<SessionStage> {
  const stage = await openLoginStage({ refreshTokens: true, ...options });
  const given: string[] = [];
  let visits = 0;
  stage.idp.provider.on('refresh_token.saved', ({ jti }) => {
    if (!given.includes(jti)) given.push(jti);
  });
  stage.idp.provider.on('authorization.success', () => {
    visits++;
  });
  const post = async (path: string, form: Record<string, string>) => {
    await using agent = disposable(new Agent({ connect: { ca: stage.idp.root } }));
    const body = new URLSearchParams({ ...form, client_id: 'countersign' }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const reply = await request(`${stage.idp.issuer}${path}`, {
      dispatcher: agent.agent,
      method: 'POST',
      headers,
      body,
    });
    return { status: reply.statusCode, json: (await reply.body.json()) as Record<string, unknown> };
  };
  return {
    ...stage,
    given,
    visits: () => visits,
    isActive: async (token) => (await post('/token/introspection', { token })).json['active'] === true,
    use: async (token) => (await post('/token', { grant_type: 'refresh_token', refresh_token: token })).status,
    [Symbol.asyncDispose]: async () => stage[Symbol.asyncDispose](),
  };
}

function disposable(agent: Agent) {
  return { agent, [Symbol.asyncDispose]: async () => agent.destroy() };
}

/** An agent with this `[sign-in]` section. */
export async function startSessionAgent(
  stage: SessionStage,
  settings: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<TestAgent> {
  const config = await writeConfig(stage, settings);
  return startTestAgent({ args: ['--config', config], env: { BROWSER: '', DISPLAY: '', WAYLAND_DISPLAY: '', ...env } });
}

export async function writeConfig(stage: SessionStage, settings: readonly string[]): Promise<string> {
  const path = join(stage.directory, `agent-${process.hrtime.bigint()}.toml`);
  const [, stateDirectory = ''] = stage.stateDirectory;
  await writeFile(path, ['[sign-in]', `state-dir = ${JSON.stringify(stateDirectory)}`, ...settings, ''].join('\n'));
  return path;
}

export async function stateOf(socket: string): Promise<ControlState> {
  return fetchState(controlSocketOf(socket));
}

/** Of the only session. */
export async function serialOf(socket: string): Promise<string | undefined> {
  return (await stateOf(socket)).signIn.sessions[0]?.certificate?.serial;
}

export async function signInAs(stage: SessionStage, login: string, socket: string): Promise<void> {
  const browser = await stage.browserOf(login);
  const { status, stderr } = await runAgent([
    'login',
    ...stage.stateDirectory,
    '--socket',
    socket,
    '--browser',
    browser,
  ]);
  expect(status, stderr).toBe(0);
}

export interface Door extends AsyncDisposable {
  readonly sshd: TestSshd;
  /** `ssh` with this agent and nothing else. */
  ssh(socket: string): Promise<{ readonly stdout: string; readonly exitCode: number | undefined }>;
}

/** An sshd that lets in whom the user CA names. */
export async function openDoor(stage: SessionStage): Promise<Door> {
  const userCa = join(stage.directory, 'user-ca.pub');
  await writeFile(userCa, `${await stage.ca.ca.publicKeyLine('userCaPublicKey')}\n`);
  const config = [`TrustedUserCAKeys ${userCa}`, 'AuthorizedKeysFile none', 'PasswordAuthentication no'];
  const sshd = await startSshd({ config: [...config, 'PermitRootLogin yes', 'MaxStartups 100'] });
  const known = join(stage.directory, 'known_hosts');
  const hostKey = await readFile(`${sshd.hostKeys[0]?.path}.pub`, 'utf8');
  await writeFile(known, `[127.0.0.1]:${sshd.port} ${hostKey.trim()}\n`);
  const options = ['BatchMode=yes', `UserKnownHostsFile=${known}`, 'IdentityFile=none', 'LogLevel=ERROR'];
  const ssh = async (socket: string) => {
    const all = [...options, `IdentityAgent=${socket}`].flatMap((option) => ['-o', option]);
    const target = ['-p', String(sshd.port), `${userInfo().username}@127.0.0.1`, 'echo', 'inside'];
    const { stdout, exitCode } = await execa('ssh', ['-F', 'none', ...all, ...target], { reject: false });
    return { stdout, exitCode };
  };
  return { sshd, ssh, [Symbol.asyncDispose]: async () => sshd[Symbol.asyncDispose]() };
}

/** Stops a process as a machine that sleeps does, for so long. */
export function suspend(process: LabProcess): Disposable {
  process.signal('SIGSTOP');
  return { [Symbol.dispose]: () => process.signal('SIGCONT') };
}
