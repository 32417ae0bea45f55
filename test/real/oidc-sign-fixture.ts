/** A real CA that takes ID tokens of several issuers, each of which a test can make hostile, and a client of POST /ssh/sign that says what came. */
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type BoundKey, createBoundKey, proveIdentity } from '#agent/user/login/key-binding.ts';
import { encodeBase64, decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { TokenIssuer } from '#test/support/token-issuer.ts';

export interface SignStage<Name extends string> extends AsyncDisposable {
  readonly ca: RunningCa;
  readonly issuers: Readonly<Record<Name, TokenIssuer>>;
  /** Claims of alice at an issuer, for this key, now. */
  claimsAt(issuer: TokenIssuer, key: BoundKey, change?: object): Record<string, unknown>;
  ask(token: string, key: BoundKey, change?: Record<string, unknown>): Promise<Asked>;
  /** Signs alice in with a new key: `ask(sign(claimsAt()))`. */
  signIn(issuer: TokenIssuer, change?: object): Promise<Asked>;
}

export interface Asked {
  /** `issued`, or the code of the refusal. */
  readonly code: string;
  readonly certificate?: Certificate;
  readonly retryAfter?: string;
  readonly text: string;
}

const soon = 300;

/** @param sections more lines for the [[oidc]] section of each issuer, by its name */
export async function openSignStage<Name extends string>(
  sections: Readonly<Record<Name, string>>,
  allowedUsers: readonly string[] = ['alice'],
): Promise<SignStage<Name>> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'countersign-oidc-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const names = Object.keys(sections) as Name[];
  const started = await Promise.all(names.map(async (name) => [name, stack.use(await TokenIssuer.start())] as const));
  const issuers = Object.fromEntries(started) as Record<Name, TokenIssuer>;
  const initOptions = ['--dns', 'localhost', ...allowedUsers.flatMap((user) => ['--allow-user', user])];
  const made = await makeCa({ within: directory, quick: true, initOptions });
  const text = started.map(([name, issuer]) => section(name, issuer, sections[name])).join('');
  await appendFile(join(made.directory, 'ca.toml'), text);
  const ca = stack.use(await made.serve());
  const root = await readFile(join(made.directory, 'certs', 'root_ca.crt'), 'utf8');
  const http = stack.adopt(new Agent({ connect: { ca: root } }), async (agent) => agent.destroy());
  const ask: SignStage<Name>['ask'] = async (token, key, change = {}) =>
    post(`${ca.url}/ssh/sign`, http, { ...bodyOf(token, key), ...change });
  const owned = stack.move();
  return {
    ca,
    issuers,
    claimsAt,
    ask,
    signIn: async (issuer, change = {}) => {
      const key = createBoundKey();
      return ask(await issuer.sign(claimsAt(issuer, key, change)), key);
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

function section(name: string, { issuer, root }: TokenIssuer, more: string): string {
  return `
[[oidc]]
name = "${name}"
issuer = "${issuer}"
client_id = "countersign"
ca_certificates = """
${root}"""
${more}
`;
}

function claimsAt({ issuer }: TokenIssuer, { nonce }: BoundKey, change: object = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const who = { sub: 'alice', email: 'alice@example.com', email_verified: true, acr: 'phr', groups: ['ssh'] };
  return { iss: issuer, aud: 'countersign', iat: now, exp: now + soon, jti: randomUUID(), nonce, ...who, ...change };
}

function bodyOf(token: string, key: BoundKey): Record<string, unknown> {
  const identityProof = proveIdentity(key, token);
  return { publicKey: encodeBase64(key.blob), ott: token, certType: 'user', identityProof };
}

async function post(url: string, dispatcher: Agent, body: object): Promise<Asked> {
  const headers = { 'content-type': 'application/json' };
  const reply = await request(url, { method: 'POST', dispatcher, headers, body: JSON.stringify(body) });
  const text = await reply.body.text();
  const { crt, code = '' } = JSON.parse(text) as { crt?: string; code?: string };
  const { 'retry-after': retryAfter } = reply.headers;
  if (crt !== undefined) return { code: 'issued', certificate: decodeCertificate(decodeBase64(crt)), text };
  return { code, text, ...(typeof retryAfter === 'string' ? { retryAfter } : {}) };
}
