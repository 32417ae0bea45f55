/** What the tests of a CA with its keys in (simulated) YubiHSMs share: `init`, `hsm init`, `serve`, and requests for certificates. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { Agent, request } from 'undici';
import { encodeBase64, decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import type { Session } from '#ca-lite/yubihsm/session.ts';
import { secretFile } from '#ca-lite/yubihsm/setup/secret-files.ts';
import { objectIds } from '#ca-lite/yubihsm/setup/plan.ts';
import { exampleFields } from '#test/contract/signer.ts';
import { type CaSettings, CA_NAME, makeCa, type RunningCa, type TestCa } from '#test/support/ca.ts';
import { caProgram } from '#test/support/programs.ts';
import { type Bench, startBench } from './yubihsm-fixture.ts';

/** Words for `hsm init`; the plain way makes its keys at once. */
export const ways = { plain: ['--way', 'plain'], template: [] } as const;

export interface HsmSite extends AsyncDisposable {
  readonly directory: string;
  readonly made: TestCa;
  readonly devices: readonly Bench[];
  /** Fingerprints that `hsm init` printed. */
  readonly keys: { readonly user: string; readonly host: string };
  /** A session behind the CA's back, with a password of its own or another one. */
  session(role: 'signer' | 'auditor' | 'administrator', device?: Bench): Promise<Session>;
}

export interface HsmSiteOptions {
  /** Words for `hsm init`. */
  readonly words?: readonly string[];
  /** A second device gets the keys of the first from its backup. */
  readonly devices?: 1 | 2;
  readonly allow?: readonly string[];
  readonly settings?: readonly CaSettings[];
  /** A CA that was made already. */
  readonly made?: TestCa;
}

const ADMINISTRATOR = 'administrator of the tests';

/** A CA directory whose ca.toml names devices that `hsm init` and `hsm restore` set up; nothing serves yet. */
export async function openHsmSite(options: HsmSiteOptions = {}): Promise<HsmSite> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'countersign-serve-hsm-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const devices: Bench[] = [];
  for (let count = 0; count < (options.devices ?? 1); count++)
    devices.push(stack.use(await startBench({ serial: 12_345_678 + count })));
  const { allow = ['--allow-user', 'alice', '--allow-user', 'root', '--allow-name', '*.example.com'] } = options;
  const made = options.made ?? (await makeCa({ within: directory, quick: true, initOptions: allow }));
  await writeFile(join(directory, 'administrator'), `${ADMINISTRATOR}\n`, { mode: 0o600 });
  const shares = [1, 2, 3].map((number) => ['--share-file', join(directory, `share-${number}`)]);
  const backup = join(directory, 'backup');
  const [first, second] = devices;
  const initialised = await hsm(made, first!, directory, 'init', [
    '--backup',
    backup,
    ...shares.flat(),
    ...(options.words ?? []),
  ]);
  if (second !== undefined) await hsm(made, second, directory, 'restore', [backup, ...shares.slice(0, 2).flat()]);
  await useSection(made, initialised, devices);
  for (const one of options.settings ?? []) await made.set(one);
  const owned = stack.move();
  return {
    directory,
    made,
    devices,
    keys: {
      user: /User CA:\s+(\S+)/.exec(initialised)?.[1] ?? '',
      host: /Host CA:\s+(\S+)/.exec(initialised)?.[1] ?? '',
    },
    session: async (role, device = first!) => {
      const own = role === 'administrator' ? join(directory, 'administrator') : secretFile(made.directory, role);
      const password = (await readFile(own, 'utf8')).trim();
      return device.session(objectIds[role], await keysFromPassword(password));
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** `countersign-ca hsm COMMAND` that has to succeed. */
async function hsm(
  made: TestCa,
  device: Bench,
  directory: string,
  command: string,
  words: readonly string[],
): Promise<string> {
  const [program, ...before] = caProgram();
  const where = ['--dir', made.directory, '--connector', device.simulator.url];
  const password = ['--administrator-password-file', join(directory, 'administrator')];
  const { stdout } = await execa(program, [...before, 'hsm', command, ...words, ...where, ...password], {
    stdin: 'ignore',
  });
  return stdout;
}

/** Puts the section that `hsm init` printed in the place of the one for files. */
async function useSection(made: TestCa, printed: string, devices: readonly Bench[]): Promise<void> {
  const section = printed.slice(printed.indexOf('[signer]'), printed.search(/^(ssh|ecdsa)-/m)).trim();
  const connectors = `connectors = ${JSON.stringify(devices.map(({ simulator }) => simulator.url))}`;
  const path = join(made.directory, 'ca.toml');
  const text = await readFile(path, 'utf8');
  const own = section.replace(/^connectors = .*$/m, connectors);
  await writeFile(path, text.replace(/\[signer\][^[]*/, `${own}\n\n`));
}

/** What became of a request for a certificate. */
export interface Asked {
  readonly status: number;
  readonly code?: string;
  readonly retryAfter?: string;
  readonly certificate?: Certificate;
}

/** Asks a CA that serves for certificates of one public key. */
export class Requester implements AsyncDisposable {
  readonly #ca: RunningCa;
  readonly #http: Agent;
  readonly #publicKey: string;

  private constructor(ca: RunningCa, http: Agent, publicKey: string) {
    this.#ca = ca;
    this.#http = http;
    this.#publicKey = publicKey;
  }

  static async open(ca: RunningCa): Promise<Requester> {
    const http = new Agent({ connect: { ca: await ca.ca.rootPem(), servername: CA_NAME } });
    const { key } = exampleFields({ type: 'ssh-ed25519', key: new Uint8Array(32) });
    return new Requester(ca, http, encodeBase64(encodePublicKey(key)));
  }

  /** With a one-time token that `countersign-ca token` made. */
  async ask(ott: string): Promise<Asked> {
    const reply = await request(`${this.#ca.url}/ssh/sign`, {
      method: 'POST',
      dispatcher: this.#http,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ publicKey: this.#publicKey, ott }),
    });
    const json = (await reply.body.json()) as { crt?: string; code?: string };
    const retryAfter = reply.headers['retry-after'];
    return {
      status: reply.statusCode,
      ...(json.code !== undefined && { code: json.code }),
      ...(typeof retryAfter === 'string' && { retryAfter }),
      ...(json.crt !== undefined && { certificate: decodeCertificate(decodeBase64(json.crt)) }),
    };
  }

  async certify(...token: string[]): Promise<Asked> {
    return this.ask(await this.#ca.ca.token(...token));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.destroy();
  }
}
