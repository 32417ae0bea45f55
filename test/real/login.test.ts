/** `countersign login` and `logout`: a real OpenID provider, the real CA, real agents, and a real sshd that has `TrustedUserCAKeys` alone. */
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enterDeviceCode } from '#test/simulator/openid-provider/scripted-browser.ts';
import type { LabProcess } from '#test/support/lab-process.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { fetchIdToken } from '#agent/user/login/sign-in.ts';
import { startSshd } from '#test/support/sshd.ts';
import { makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type LoginStage, openLoginStage } from './login-fixture.ts';

let stage: LoginStage;

beforeAll(async () => {
  stage = await openLoginStage();
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

async function ended(
  process: LabProcess,
): Promise<{ status: number | null; stdout: string; stderr: string; code: string }> {
  const { code: status } = await process.ended;
  const stderr = process.stderr();
  return { status, stdout: process.stdout(), stderr, code: /\[([a-z-]+)\]$/m.exec(stderr)?.[1] ?? '' };
}

async function list(env: Readonly<Record<string, string>>): Promise<string> {
  return (await execa('ssh-add', ['-l'], { env, reject: false })).stdout;
}

async function loginAs(login: string, env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const browser = await stage.browserOf(login);
  await using process = stage.startLogin(['--browser', browser, ...args], env);
  return await ended(process);
}

async function loginWithCode(on: LoginStage, env: Readonly<Record<string, string>>) {
  await using process = on.startLogin(['--device'], env);
  await process.until((each) => each.stderr().includes('enter the code'));
  const [, url, code] = /Open (\S+)\nand enter the code {2}(\S+)/.exec(process.stderr()) ?? [];
  await enterDeviceCode(`${url}?user_code=${code}`, { login: 'alice', root: on.idp.root });
  return await ended(process);
}

/** OpenSSH's agent in the foreground. */
async function startOpensshAgent(directory: string) {
  const socket = join(directory, 'openssh.sock');
  const process = startProcess(['ssh-agent', '-D', '-a', socket]);
  await process.until((each) => each.stdout().includes('SSH_AUTH_SOCK='));
  return { env: { SSH_AUTH_SOCK: socket }, [Symbol.asyncDispose]: async () => process[Symbol.asyncDispose]() };
}

describe('login', () => {
  it('puts a certificate into our agent, with which ssh gets in; logout takes it away', async () => {
    await using agent = await startTestAgent();
    const signedIn = await loginAs('alice', agent.env, '--json');
    expect(signedIn.status, signedIn.stderr).toBe(0);
    expect(JSON.parse(signedIn.stdout)).toMatchObject({
      provisioner: 'corp',
      principals: ['alice', 'root'],
      agent: agent.socket,
    });
    expect(await list(agent.env)).toMatch(/^256 SHA256:\S+ countersign corp 127\.0\.0\.1:\d+ \(ED25519-CERT\)$/);

    const userCa = join(stage.directory, 'user-ca.pub');
    await writeFile(userCa, `${await stage.ca.ca.publicKeyLine('userCaPublicKey')}\n`);
    const config = [
      `TrustedUserCAKeys ${userCa}`,
      'AuthorizedKeysFile none',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
    ];
    await using sshd = await startSshd({ config });
    const known = join(agent.directory, 'known_hosts');
    await writeFile(
      known,
      `[127.0.0.1]:${sshd.port} ${(await readFile(`${sshd.hostKeys[0]?.path}.pub`, 'utf8')).trim()}\n`,
    );
    const ssh = async () =>
      execa(
        'ssh',
        [
          '-F',
          'none',
          '-o',
          'BatchMode=yes',
          '-o',
          `UserKnownHostsFile=${known}`,
          '-o',
          'IdentitiesOnly=no',
          '-p',
          String(sshd.port),
          `${userInfo().username}@127.0.0.1`,
          'echo',
          'inside',
        ],
        { env: agent.env, reject: false },
      );
    if (userInfo().username === 'root') expect((await ssh()).stdout).toBe('inside');

    const left = await runAgent(['logout', '--socket', agent.socket, ...stage.stateDirectory]);
    expect(left.stdout).toBe('Removed from the agent: 1 certificate with its key.');
    expect(await list(agent.env)).toBe('The agent has no identities.');
    expect((await ssh()).exitCode).toBe(255);
  });

  it("works with OpenSSH's agent; a second sign-in replaces the first, and foreign keys stay", async () => {
    using directory = makeDirectory();
    await using agent = await startOpensshAgent(directory.path);
    await execa('ssh-add', ['-q', await makeKeyFile(directory.path, 'own')], { env: agent.env });
    const first = await loginAs('alice', agent.env);
    expect(first.status, first.stderr).toBe(0);
    const before = await list(agent.env);
    expect((await loginAs('alice', agent.env)).status).toBe(0);
    const after = await list(agent.env);
    expect(after.split('\n')).toHaveLength(2);
    expect(after).not.toBe(before);
    await runAgent(['logout', '--socket', agent.env.SSH_AUTH_SOCK, ...stage.stateDirectory]);
    expect(await list(agent.env)).toMatch(/^256 SHA256:\S+ own \(ED25519\)$/);
  });

  it('trusts the provider as the CA tells, without a file', async () => {
    await using agent = await startTestAgent();
    const args = ['--socket', agent.socket, ...stage.stateDirectory, '--browser', await stage.browserOf('alice')];
    const { status, stderr } = await runAgent(['login', ...args]);
    expect(status, stderr).toBe(0);
  });

  it('shows the browser a page without a script at the end', async () => {
    await using agent = await startTestAgent();
    const browser = await stage.browserOf('alice');
    expect((await loginAs('alice', agent.env)).status).toBe(0);
    // the browser may still be at it when the certificate is there
    await expect
      .poll(async () => readFile(`${browser}.page`, 'utf8'), { timeout: 30_000 })
      .toMatch(/^200 <!doctype html>.*<\/html>\n$/s);
    expect(await readFile(`${browser}.page`, 'utf8')).not.toContain('<script');
  });

  it('signs in on another device, with a code', async () => {
    await using agent = await startTestAgent();
    const { status, stderr } = await loginWithCode(stage, agent.env);
    expect(status, stderr).toBe(0);
    expect(await list(agent.env)).toContain('(ED25519-CERT)');
  });

  it('takes an unbound token of the device flow only where the CA does', { timeout: 300_000 }, async () => {
    await using agent = await startTestAgent();
    await using strict = await openLoginStage({ echoesDeviceNonce: false });
    expect(await loginWithCode(strict, agent.env)).toMatchObject({ status: 1, code: 'nonce-missing' });
    await using lenient = await openLoginStage({ echoesDeviceNonce: false, oidc: 'nonce_binding = "optional"' });
    const { status, stderr } = await loginWithCode(lenient, agent.env);
    expect(status, stderr).toBe(0);
  });

  it('chooses the code by itself where no browser can be shown', async () => {
    await using agent = await startTestAgent();
    await using process = stage.startLogin([], agent.env);
    await process.until((each) => each.stderr().includes('enter the code'));
    process.signal('SIGINT');
    expect(await ended(process)).toMatchObject({ status: 1, code: 'interrupted' });
  });
});

describe('login is refused', () => {
  it('without an agent, before anything is shown', async () => {
    const result = await loginAs('alice', {
      SSH_AUTH_SOCK: join(stage.directory, 'none.sock'),
      XDG_RUNTIME_DIR: stage.directory,
    });
    expect(result).toMatchObject({ status: 1, code: 'no-agent' });
    expect(result.stderr).toContain('countersign agent');
    expect(result.stderr).not.toContain('Sign in at');
  });

  it('to somebody whom the CA does not accept, with its words', async () => {
    await using agent = await startTestAgent();
    const result = await loginAs('mallory', agent.env);
    expect(result).toMatchObject({ status: 1, code: 'ca-refused' });
    expect(result.stderr).toContain('identity-not-accepted');
    expect(await list(agent.env)).toBe('The agent has no identities.');
  });

  it('for a provisioner that the CA does not have', async () => {
    await using agent = await startTestAgent();
    expect(await loginAs('alice', agent.env, '--provisioner', 'other')).toMatchObject({
      status: 1,
      code: 'no-provisioner',
    });
  });

  it('by a provider whose certificate nothing here trusts', async () => {
    const client = { redirectUris: ['http://127.0.0.1:0/back'], deviceFlow: false, pushedAuthorization: false };
    const provisioner: Provisioner = {
      name: 'corp',
      issuer: stage.idp.issuer,
      clientId: 'countersign',
      scopes: ['openid'],
      client: { ...client, nonceBinding: 'required', authorizationParameters: {} },
    };
    const signingIn = fetchIdToken(provisioner, createBoundKey(), {
      chooseFlow: () => 'browser',
      showUrl: async () => expect.unreachable(),
      showDevicePrompt: () => expect.unreachable(),
      signal: AbortSignal.timeout(30_000),
    });
    await expect(signingIn).rejects.toMatchObject({ code: 'provider-untrusted' });
  });

  it('when nobody comes back in time', async () => {
    await using agent = await startTestAgent();
    await using process = stage.startLogin(['--no-browser', '--timeout', '3'], agent.env);
    expect(await ended(process)).toMatchObject({ status: 1, code: 'sign-in-timeout' });
  });
});
