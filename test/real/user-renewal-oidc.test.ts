/** Certificates of a sign-in with OpenID Connect renew by their key through `countersign-ca serve`, and a real sshd lets them in (docs/oidc.md). */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execa } from 'execa';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type BoundKey, createBoundKey } from '#agent/user/login/key-binding.ts';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { sshpopToken } from '#test/support/sshpop-client.ts';
import { startSshd } from '#test/support/sshd.ts';
import type { RunningCa } from '#test/support/ca.ts';
import { loginConfig } from './host-agent-fixture.ts';
import { type SignStage, openSignStage } from './oidc-sign-fixture.ts';

const ROLES = `principals = [{ from = "email-local-part" }, { from = "group", group = "ssh", principals = ["deploy"] }]`;
const NO_ROLES = `principals = [{ from = "email-local-part" }]`;
/** Short enough to see the end of it. */
const BRIEF_SECONDS = 8;

let stage: SignStage<'corp' | 'brief' | 'strict'>;
let ca: RunningCa;
let http: Agent;
beforeAll(async () => {
  const sections = {
    corp: `lifetime = "1h"\nrenew_for = "5d"\nrenew_times = 20\nextensions = ["permit-pty"]\n${ROLES}`,
    brief: `lifetime = "${BRIEF_SECONDS}s"\nrenew_for = "5d"\n${ROLES}`,
    strict: `lifetime = "1h"\n${ROLES}`,
  };
  stage = await openSignStage(sections, ['alice', 'deploy']);
  ca = stage.ca;
  http = new Agent({ connect: { ca: await ca.ca.rootPem() } });
});
afterAll(async () => {
  await http?.destroy();
  await ca?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

interface Person {
  readonly key: BoundKey;
  certificate: Certificate;
}

async function signedIn(name: 'corp' | 'brief' | 'strict', email: string): Promise<Person> {
  const issuer = stage.issuers[name];
  const key = createBoundKey();
  const { certificate, text } = await stage.ask(await issuer.sign(stage.claimsAt(issuer, key, { email })), key);
  if (certificate === undefined) throw new Error(text);
  return { key, certificate };
}

/** The code, and what came; the person goes on with the new certificate. */
async function renew(person: Person) {
  const { key, certificate } = person;
  const { port } = new URL(ca.url);
  const ott = sshpopToken({
    key: { ...key, blob: encodeBase64(key.blob) },
    certificate: certificate.blob,
    operation: 'renew',
    authority: `127.0.0.1:${port}`,
    now: BigInt(Math.floor(Date.now() / 1000)),
  });
  const headers = { 'content-type': 'application/json' };
  const url = `${ca.url}/ssh/renew`;
  const { body } = await request(url, { method: 'POST', dispatcher: http, headers, body: JSON.stringify({ ott }) });
  const answer = (await body.json()) as { code?: string; message?: string; crt?: string; signIn?: object };
  if (answer.crt !== undefined) person.certificate = decodeCertificate(decodeBase64(answer.crt));
  return { code: answer.code ?? 'ok', message: answer.message ?? '', signIn: answer.signIn };
}

test('renews by the rules, says what is left, and sshd lets the successor in', async () => {
  const alice = await signedIn('corp', 'alice@example.com');
  const { certificate: first } = alice;
  const { code, signIn, message } = await renew(alice);
  expect(code, message).toBe('ok');
  expect(signIn).toMatchObject({ renewalsLeft: 19 });
  const { keyId, principals, extensions } = first;
  expect(alice.certificate).toMatchObject({ type: 'user', keyId, principals, extensions });
  expect(principals).toEqual(['alice', 'deploy']);
  expect(alice.certificate.serial).not.toBe(first.serial);
  expect(await login(alice)).toBe('let in');

  const listed = await ca.ca.json<{ serial: string; identity: string }[]>(
    'certs',
    '--user',
    'alice@example.com via corp',
  );
  expect(listed.map(({ serial }) => serial)).toEqual([String(alice.certificate.serial), String(first.serial)]);
  expect(await ca.ca.run('certs')).toContain('alice@example.com via corp');
});

test('a section that says nothing renews nothing', async () => {
  const alice = await signedIn('strict', 'alice@example.com');
  expect(await renew(alice)).toMatchObject({ code: 'sign-in-needed' });
});

test('a colleague back from a sabbatical renews once by the command that the refusal names', async () => {
  const alice = await signedIn('brief', 'alice@example.com');
  const refused = await vi.waitFor(
    async () => {
      const answer = await renew({ ...alice });
      expect(answer.code).toBe('renewal-expired');
      return answer;
    },
    { timeout: 60_000, interval: 1000 },
  );
  const command = /countersign-ca (grant --user '[^']+' --for 24h)/.exec(refused.message)?.[1] ?? '';
  expect(command).toBe("grant --user 'alice@example.com via brief' --for 24h");
  // As a shell takes it apart.
  const { stdout } = await promisify(execFile)('sh', ['-c', `printf '%s\\n' ${command}`]);
  const [name = '', ...options] = stdout.trimEnd().split('\n');
  expect(await ca.ca.run(name, ...options)).toContain('may renew after expiry, once');
  expect((await renew(alice)).code).toBe('ok');
  const { items } = await grants();
  expect(items[0]).toMatchObject({ kind: 'user', usesLeft: 0 });
});

async function grants() {
  await using store = await ca.ca.openStore();
  return await store.grants(undefined, { limit: 1 });
}

test('who is revoked renews no more, whatever the grant', async () => {
  const bob = await signedIn('corp', 'alice@example.com');
  await ca.ca.run('revoke', '--user', 'alice@example.com via corp');
  await ca.ca.run('grant', '--user', 'alice@example.com via corp');
  expect((await renew(bob)).code).toBe('renewal-revoked');
});

test('login names are those of today', async () => {
  const alice = await signedIn('corp', 'alice@example.com');
  const config = join(ca.ca.directory, 'ca.toml');
  await writeFile(config, (await readFile(config, 'utf8')).replaceAll(ROLES, NO_ROLES));
  await ca[Symbol.asyncDispose]();
  ca = await ca.ca.serve();
  expect((await renew(alice)).code).toBe('ok');
  expect(alice.certificate.principals).toEqual(['alice']);
});

/** What sshd makes of the certificate: `let in`, or what ssh says. */
async function login({ key, certificate }: Person): Promise<string> {
  const me = userInfo().username;
  await using sshd = await startSshd({ config: loginConfig });
  const at = (name: string): string => join(sshd.directory, name);
  await writeFile(at('ca.pub'), await ca.ca.publicKeyLine('userCaPublicKey'));
  await writeFile(at('principals'), 'deploy\n');
  const lines = [`TrustedUserCAKeys ${at('ca.pub')}`, `AuthorizedPrincipalsFile ${at('principals')}`];
  await writeFile(join(sshd.dropInDirectory, 'users.conf'), `${lines.join('\n')}\n`);
  await sshd.reload();
  await writeFile(at('id'), encodePrivateKey(key.privateKey, { random: { checkInt: 1 } }), { mode: 0o600 });
  await writeFile(at('id-cert.pub'), `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(certificate.blob)}\n`);
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    `UserKnownHostsFile=${at('known_hosts')}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
  ];
  const given = options.flatMap((option) => ['-o', option]);
  const line = ['-F', 'none', ...given, '-i', at('id'), '-p', String(sshd.port), `${me}@${sshd.address}`, 'true'];
  const { exitCode, stderr } = await execa('ssh', line, { reject: false, stdin: 'ignore', timeout: 60_000 });
  return exitCode === 0 ? 'let in' : stderr;
}
