/**
 * A real CA in this process whose clock belongs to the test: the directory that `init` makes, opened as `serve` opens it, the same HTTP
 * server, asked without a network. It can be killed (nothing is finished or said) and started again on the same store, and it can
 * be made to fail between the steps of an issuance.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { parse, stringify } from 'smol-toml';
import { decodeBase64 } from '#openssh/base64.ts';
import type { CertificateType } from '#openssh/certificate.ts';
import { encodePrivateKey, parseSoftwareKey } from '#openssh/private-key.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { openConfig, storePath } from '#ca-lite/directory/open-config.ts';
import type { CaContext } from '#ca-lite/http/context.ts';
import { createServer } from '#ca-lite/http/server.ts';
import type { CaServer } from '#ca-lite/http/typed-server.ts';
import { createCa } from '#ca-lite/init/create-ca.ts';
import { closeUnfinishedIntents } from '#ca-lite/serve/housekeeping.ts';
import { type OpenCa, openCa } from '#ca-lite/serve/open-ca.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { makeClaims } from '#ca-lite/token/one-time-token.ts';
import type { HostKey } from '../../support/sshpop-client.ts';

export const CA_NAME = 'ca.example.internal';
export const PASSPHRASE = 'of the tests';

/** In memory where there is such a place: these tests are about decisions, and others are about disks. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface Answer {
  readonly status: number;
  /** The code of a refusal, or `ok`. */
  readonly code: string;
  readonly body: Record<string, unknown>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly raw: Buffer;
}

/** Sections of ca.toml to change. */
export type Settings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export class ClockCa implements AsyncDisposable {
  readonly directory: string;
  /** Epoch seconds: the clock of the CA. Certificates of X.509 are made by the real one, so start near it. */
  now: bigint;
  /** Called for each store the CA opens, to hand it a store that fails. */
  wrapStore: (store: Store) => Store = (store) => store;
  #ca: OpenCa | undefined;
  #context: CaContext | undefined;
  #server: CaServer | undefined;
  /** Around its directory; gone with it. */
  readonly parent: string;

  private constructor(parent: string, now: bigint) {
    this.parent = parent;
    this.directory = join(parent, 'ca');
    this.now = now;
  }

  /** @param within where its directory is made */
  static async make(settings: Settings = {}, within = place): Promise<ClockCa> {
    const parent = await mkdtemp(join(within, 'countersign-clock-'));
    const ca = new ClockCa(parent, BigInt(Math.floor(Date.now() / 1000)));
    await createQuickCa(ca.directory);
    await ca.set(settings);
    await ca.start();
    return ca;
  }

  /** The text of ca.toml. */
  async settings(): Promise<string> {
    return readFile(caLayout(this.directory).config, 'utf8');
  }

  async writeSettings(text: string): Promise<void> {
    await writeFile(caLayout(this.directory).config, text, { mode: 0o600 });
  }

  /** Changes ca.toml; a CA that runs keeps what it read. */
  async set(settings: Settings): Promise<void> {
    const toml = parse(await this.settings());
    for (const [section, values] of Object.entries(settings))
      toml[section] = { ...(toml[section] as object), ...values } as never;
    await this.writeSettings(stringify(toml));
  }

  async start(): Promise<void> {
    const layout = caLayout(this.directory);
    const config = await openConfig(layout);
    const log = pino({ level: 'silent' });
    this.#ca = await openCa({ layout, config, passphrase: Buffer.from(PASSPHRASE), log, now: () => this.now });
    await closeUnfinishedIntents(this.#ca.context.store, this.now);
    this.#context = { ...this.#ca.context, store: this.wrapStore(this.#ca.context.store) };
    this.#server = await createServer({ current: this.#context }, this.#ca.tls.material);
  }

  async stop(): Promise<void> {
    const [server, ca] = [this.#server, this.#ca];
    this.#server = undefined;
    this.#ca = undefined;
    await server?.close();
    await ca?.[Symbol.asyncDispose]();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  get context(): CaContext {
    if (this.#context === undefined) throw new Error('the CA is not running');
    return this.#context;
  }

  get store(): Store {
    return this.context.store;
  }

  /** As an administrator's command opens it, beside the server. */
  async openBeside(): Promise<Store> {
    const layout = caLayout(this.directory);
    return openSqliteStore({ path: storePath(layout, await openConfig(layout)), role: 'administrator' });
  }

  async post(path: string, payload: object, from = '10.1.1.1'): Promise<Answer> {
    return this.#ask({ method: 'POST', url: path, payload, remoteAddress: from });
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#ask({ method: 'GET', url: path, headers });
  }

  async #ask(request: object): Promise<Answer> {
    const server = this.#server;
    if (server === undefined) throw new Error('the CA is not running');
    const { statusCode: status, headers, rawPayload: raw } = await server.inject(request);
    const isJson = String(headers['content-type']).startsWith('application/json');
    const body = isJson ? (JSON.parse(raw.toString()) as Record<string, unknown>) : {};
    return { status, headers, raw, body, code: typeof body['code'] === 'string' ? body['code'] : 'ok' };
  }

  /** A host certificate by an administrator's token. */
  async certify(key: HostKey, name: string, principals: readonly string[] = [name]): Promise<Uint8Array> {
    const crt = await this.certifyOrRefuse(key, name, principals);
    if (typeof crt === 'string') throw new Error(crt);
    return crt;
  }

  /** The certificate, or the code of the refusal. */
  async certifyOrRefuse(
    key: HostKey,
    name: string,
    principals: readonly string[] = [name],
    type: CertificateType = 'host',
  ): Promise<Uint8Array | string> {
    const answer = await this.post('/ssh/sign', {
      ott: await this.token(name, principals, type),
      publicKey: key.blob,
    });
    return answer.status === 201 ? decodeBase64(String(answer.body['crt'])) : answer.code;
  }

  /** An administrator's token, good for an hour. */
  async token(name: string, principals: readonly string[] = [name], type: CertificateType = 'host'): Promise<string> {
    const { tokenKey, store, authority, rootFingerprint } = this.context;
    const tokenId = `test-${process.hrtime.bigint()}`;
    const grant = { provisioner: 'admin', type, keyId: name, principals, validBefore: '' } as const;
    const { now } = this;
    const claims = makeClaims(grant, { authority, rootFingerprint, now, lifetimeSeconds: 3600, tokenId });
    const audit = { time: now, action: 'token-make', subject: {} };
    await store.recordToken({ token: { id: tokenId, expiresAt: BigInt(claims.exp) }, audit });
    return tokenKey.sign(claims);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.parent, { recursive: true, force: true });
  }
}

/** A file of the template; directories come before what is in them. */
interface TemplateEntry {
  readonly path: string;
  readonly mode: number;
  /** Null for a directory. */
  readonly content: Uint8Array | null;
}

let template: Promise<readonly TemplateEntry[]> | undefined;

/** What `init` makes, with keys that open quickly: a test is not about bcrypt. Made once, then written again, so that all have the same keys. */
export async function createQuickCa(directory: string): Promise<void> {
  template ??= makeTemplate();
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const { path, mode, content } of await template) {
    const place = join(directory, path);
    await (content === null ? mkdir(place, { mode }) : writeFile(place, content, { mode }));
  }
}

async function makeTemplate(): Promise<TemplateEntry[]> {
  const parent = await mkdtemp(join(tmpdir(), 'countersign-template-'));
  try {
    return await readTemplate(await makeQuickCa(join(parent, 'ca')));
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

async function readTemplate(directory: string): Promise<TemplateEntry[]> {
  const paths = (await readdir(directory, { recursive: true })).toSorted();
  return Promise.all(
    paths.map(async (path) => {
      const place = join(directory, path);
      const facts = await stat(place);
      const content = facts.isDirectory() ? null : await readFile(place);
      return { path, mode: facts.mode & 0o777, content };
    }),
  );
}

async function makeQuickCa(directory: string): Promise<string> {
  const passphrase = Buffer.from(PASSPHRASE);
  await createCa({
    directory,
    passphrase,
    keyType: 'ed25519',
    root: 'own',
    name: 'Clock',
    dnsNames: [CA_NAME, '127.0.0.1'],
    address: '127.0.0.1:0',
    enrolNames: ['**.example.com'],
    enrolAddresses: ['10.0.0.0/8'],
    userPrincipals: ['alice'],
    progress: () => {},
  });
  const { secrets } = caLayout(directory);
  for (const name of await readdir(secrets)) {
    const { privateKey } = parseSoftwareKey(await readFile(join(secrets, name)), passphrase);
    const random = { checkInt: 1, salt: randomBytes(16) };
    await writeFile(join(secrets, name), encodePrivateKey(privateKey, { passphrase, rounds: 1, random }), {
      mode: 0o600,
    });
  }
  return directory;
}
