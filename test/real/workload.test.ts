/** Machines that sign in with an ID token of their platform: an issuer such as that of GitHub Actions, the real CA, the real agent. */
import { chmod, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBoundKey, proveIdentity } from '#agent/user/login/key-binding.ts';
import { type HttpsServer, startHttpsServer } from '#test/support/https-server.ts';
import type { TokenIssuer } from '#test/support/token-issuer.ts';
import { makeDirectory, startTestAgent } from './agent-fixture.ts';
import { type AgentResult, runAgent } from './host-agent-fixture.ts';
import { type SignStage, openSignStage } from './oidc-sign-fixture.ts';

const sections = {
  builds: `
nonce_binding = "none"
require_claims = { repository = "example/app", ref = "refs/heads/main" }
lifetime = "15m"
principals = [{ from = "fixed", principals = ["deploy"] }]`,
  people: 'domains = ["example.com"]\nprincipals = [{ from = "email-local-part" }]',
};

let stage: SignStage<keyof typeof sections>;
let builds: TokenIssuer;
let places: readonly string[];
const directory = makeDirectory();
/** Whatever these tests run in. */
const noService = { ACTIONS_ID_TOKEN_REQUEST_URL: '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' };

beforeAll(async () => {
  stage = await openSignStage(sections, ['deploy', 'alice']);
  builds = stage.issuers.builds;
  const { ca } = stage;
  places = ['--state-dir', join(directory.path, 'state')];
  const trust = ['bootstrap', '--ca', ca.url, '--fingerprint', await ca.ca.rootFingerprint(), ...places];
  expect((await runAgent(trust)).status).toBe(0);
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** As GitHub Actions writes them. */
function claims(change: object = {}): Record<string, unknown> {
  const run = { sub: 'repo:example/app:ref:refs/heads/main', repository: 'example/app', ref: 'refs/heads/main' };
  const nobody = { nonce: undefined, email: undefined, email_verified: undefined, acr: undefined, groups: undefined };
  return stage.claimsAt(builds, createBoundKey(), { ...run, ...nobody, ...change });
}

describe('at the CA, a token of a workload', () => {
  const codeFor = async (change: object): Promise<string> => {
    const key = createBoundKey();
    return (await stage.ask(await builds.sign(claims(change)), key)).code;
  };

  it('gets a certificate for what the section gives, once', async () => {
    const [key, token] = [createBoundKey(), await builds.sign(claims())];
    const { certificate } = await stage.ask(token, key);
    expect(certificate?.principals).toEqual(['deploy']);
    expect(certificate?.keyId).toMatch(/^sub_repo:example\/app:ref:refs\/heads\/main via builds at /);
    expect(Number((certificate?.validBefore ?? 0n) - (certificate?.validAfter ?? 0n))).toBe(960);
    expect((await stage.ask(token, key)).code).toBe('token-used');
    expect((await stage.ask(token, createBoundKey())).code).toBe('token-used');
  });

  it('has to be signed by the key', async () => {
    const [key, other, token] = [createBoundKey(), createBoundKey(), await builds.sign(claims())];
    const another = await builds.sign(claims());
    for (const identityProof of [undefined, proveIdentity(other, token), proveIdentity(key, another)])
      expect((await stage.ask(token, key, { identityProof })).code).toBe('identity-unbound');
    const junk = { ...proveIdentity(key, token), signature: 'AAAA' };
    expect((await stage.ask(token, key, { identityProof: junk })).code).toBe('identity-unbound');
    expect((await stage.ask(token, key)).code).toBe('issued');
  });

  it('is none of a person: a nonce binds it to a key that is another', async () => {
    expect(await codeFor({ nonce: createBoundKey().nonce })).toBe('identity-unbound');
  });

  it.each([
    ['another repository', { repository: 'mallory/app' }],
    ['no repository', { repository: undefined }],
    ['a list of repositories', { repository: ['example/app'] }],
    ['another branch', { ref: 'refs/pull/1/merge' }],
  ])('of %s is refused', async (_what, change) => {
    expect(await codeFor(change)).toBe('identity-not-accepted');
  });

  it('for somebody else, or minutes old, is refused', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await codeFor({ aud: 'sts.example.com' })).toBe('token-wrong-audience');
    expect(await codeFor({ iat: now - 600 })).toBe('token-expired');
  });
});

async function login(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<AgentResult> {
  await using agent = await startTestAgent();
  const variables = Object.entries({ ...noService, ...agent.env, ...env }).map(([name, value]) => `${name}=${value}`);
  const told = await runAgent(['login', ...places, '--socket', agent.socket, ...args], ['env', ...variables]);
  const { stdout } = await execa('ssh-add', ['-l'], { env: agent.env, reject: false });
  expect(stdout.includes('(ED25519-CERT)')).toBe(told.status === 0);
  return told;
}

describe('countersign login of a workload', () => {
  it('takes the token from a file', async () => {
    const path = join(directory.path, 'token');
    await writeFile(path, `${await builds.sign(claims())}\n`);
    const told = await login(['--token-file', path, '--json']);
    expect(told.status, told.stderr).toBe(0);
    expect(JSON.parse(told.stdout)).toMatchObject({ provisioner: 'builds', principals: ['deploy'] });
  });

  it('takes it from a program, which is told whom it has to be for', async () => {
    const [program, token] = [join(directory.path, 'print-token'), await builds.sign(claims())];
    await writeFile(program, `#!/bin/sh\n[ "$COUNTERSIGN_AUDIENCE" = countersign ] && echo ${token}\n`);
    await chmod(program, 0o755);
    const told = await login(['--token-command', program]);
    expect(told.status, told.stderr).toBe(0);
    expect(told.stdout + told.stderr).not.toContain(token.slice(0, 20));
  });

  it('takes it from the token service of a CI run', async () => {
    const asked: string[] = [];
    await using service = await startService(async (url, bearer, response) => {
      asked.push(
        url.pathname,
        url.searchParams.get('audience') ?? '',
        url.searchParams.get('api-version') ?? '',
        bearer,
      );
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ count: 1, value: await builds.sign(claims({ aud: url.searchParams.get('audience') })) }),
      );
    });
    const told = await login(['--actions', '--provider-ca', await rootFileOf(service)], environmentOf(service));
    expect(told.status, told.stderr).toBe(0);
    expect(asked).toEqual(['/run/1/token', 'countersign', '2.0', 'bearer of the run']);
  });

  it('says what is wrong with the source', async () => {
    const path = join(directory.path, 'no-token');
    expect(await login(['--token-file', path])).toMatchObject({ status: 1, code: 'workload-token-unavailable' });
    await writeFile(path, 'password=secret');
    const malformed = await login(['--token-file', path]);
    expect(malformed).toMatchObject({ status: 1, code: 'workload-token-malformed' });
    expect(malformed.stderr).not.toContain('secret');
    expect(await login(['--token-command', '/bin/false'])).toMatchObject({ code: 'workload-token-unavailable' });
    expect(await login(['--token-command', path])).toMatchObject({ code: 'workload-token-unavailable' });
    expect(await login(['--actions'])).toMatchObject({ status: 1, code: 'workload-token-unavailable' });
  });

  it.each([
    ['says no', (response: ServerResponse) => response.writeHead(403).end('{}')],
    ['answers HTML', (response: ServerResponse) => response.end('<h1>Log in</h1>')],
    [
      'sends elsewhere',
      (response: ServerResponse) => response.writeHead(302, { location: 'https://evil.example' }).end(),
    ],
    ['hangs up', (response: ServerResponse) => response.socket?.destroy()],
  ])('ends when the token service %s', async (_what, answer) => {
    await using service = await startService(async (_url, _bearer, response) => void answer(response));
    const told = await login(['--actions', '--provider-ca', await rootFileOf(service)], environmentOf(service));
    expect(told).toMatchObject({ status: 1, code: 'workload-token-unavailable' });
    expect(told.stderr).not.toContain('of the run');
  });

  it("is refused with the CA's words", async () => {
    const path = join(directory.path, 'foreign-token');
    await writeFile(path, await builds.sign(claims({ repository: 'mallory/app' })));
    const told = await login(['--token-file', path]);
    expect(told).toMatchObject({ status: 1, code: 'ca-refused' });
    expect(told.stderr).toContain('identity-not-accepted');
  });

  it('is for one source, for provisioners of workloads, and no person', async () => {
    expect((await login(['--token-file', 'a', '--device'])).status).toBe(2);
    expect((await login(['--token-file', 'a', '--token-command', 'b'])).status).toBe(2);
    const told = await login(['--token-file', 'a', '--provisioner', 'people']);
    expect(told).toMatchObject({ status: 1, code: 'no-workload-provisioner' });
    expect(await login(['--no-browser', '--provisioner', 'builds'])).toMatchObject({ code: 'no-provisioner' });
  });
});

async function startService(
  answer: (url: URL, bearer: string, response: ServerResponse) => Promise<void>,
): Promise<HttpsServer> {
  const service: HttpsServer = await startHttpsServer((request, response) => {
    void answer(new URL(request.url ?? '/', service.issuer), request.headers.authorization ?? '', response);
  });
  return service;
}

async function rootFileOf({ root }: HttpsServer): Promise<string> {
  const path = join(directory.path, 'service-root.pem');
  await writeFile(path, root);
  return path;
}

function environmentOf({ issuer }: HttpsServer): Record<string, string> {
  return {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer}/run/1/token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of the run',
  };
}
