/**
 * A CA for a test: a directory made by `countersign-ca init`, settings on top, and the real program serving it, on this machine or
 * on a machine of a laboratory.
 */
import { X509Certificate, hash } from 'node:crypto';
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { parse, stringify } from 'smol-toml';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { openConfig, storePath } from '#ca-lite/directory/open-config.ts';
import { openSqliteReader } from '#ca-lite/store/sqlite-store.ts';
import type { StoreReader } from '#ca-lite/store/store.ts';
import { type LabProcess, startProcess } from './lab-process.ts';
import type { Machine } from './lab.ts';
import { type Program, caProgram } from './programs.ts';

/** What became of a command. */
export interface Finished {
  readonly exitCode?: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sections of ca.toml, as `Lab.caSettings` and tests give them; the top level is the section `''`. */
export type CaSettings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface CaOptions {
  /** An empty or missing directory's parent: the CA is made in `ca/` below it. */
  readonly within: string;
  /** Where it runs; default: here, on 127.0.0.1. */
  readonly machine?: Machine;
  readonly port?: number;
  /** Applied one after the other; lists replace lists. */
  readonly settings?: readonly CaSettings[];
  readonly initOptions?: readonly string[];
  readonly program?: Program;
  /** Encrypts the keys with one round instead of sixteen, for tests that start the CA many times. */
  readonly quick?: boolean;
}

/** Disposing ends it as `systemctl stop` does, and waits until it has answered, read the log of its device and closed its store. */
export interface RunningCa extends AsyncDisposable {
  readonly ca: TestCa;
  readonly process: LabProcess;
  /** Origin, by address: what the test's own requests go to. */
  readonly url: string;
  readonly port: number;
}

export const CA_NAME = 'ca.lab.example';
export const PASSPHRASE = 'of the tests';

export async function makeCa(options: CaOptions): Promise<TestCa> {
  const { within, machine, port = 0, settings = [], initOptions = allowed.flat(), program = caProgram() } = options;
  await mkdir(within, { recursive: true });
  const passphraseFile = join(within, 'passphrase');
  await writeFile(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const address = machine?.addresses[0] ?? '127.0.0.1';
  const wrap = (argv: readonly string[]): Program => machine?.command(argv) ?? (argv as unknown as Program);
  const ca = new TestCa({ directory: join(within, 'ca'), passphraseFile, address, program, wrap });
  const names = ['--dns', CA_NAME, '--dns', address, '--address', `${address}:${port}`];
  await ca.run('init', '--name', 'Laboratory', ...names, '--passphrase-file', passphraseFile, ...initOptions);
  if (options.quick === true) await ca.weakenEncryption();
  for (const one of settings) await ca.set(one);
  return ca;
}

const allowed = [
  ['--allow-name', '**.lab.example'],
  ['--allow-address', '10.77.0.0/16'],
  ['--allow-address', 'fd77::/16'],
  ['--allow-user', 'alice'],
];

interface TestCaParts {
  readonly directory: string;
  readonly passphraseFile: string;
  readonly address: string;
  readonly program: Program;
  /** The command line that runs `argv` where the CA runs. */
  readonly wrap: Machine['command'];
}

export class TestCa {
  readonly directory: string;
  readonly address: string;
  readonly passphraseFile: string;
  readonly #parts: TestCaParts;

  constructor(parts: TestCaParts) {
    this.directory = parts.directory;
    this.passphraseFile = parts.passphraseFile;
    this.address = parts.address;
    this.#parts = parts;
  }

  /** `countersign-ca COMMAND --dir ...` that has to succeed. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    const result = await this.attempt(command, ...args);
    if (result.exitCode !== 0) throw new Error(`countersign-ca ${command}: ${result.stderr}`);
    return result.stdout;
  }

  /** The same, whatever comes of it. */
  async attempt(command: string, ...args: readonly string[]): Promise<Finished> {
    const [file, ...rest] = this.#commandLine(command, args);
    return execa(file, rest, { reject: false, stdin: 'ignore', timeout: 60_000, killSignal: 'SIGKILL' });
  }

  async json<T>(command: string, ...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(command, '--json', ...args)) as T;
  }

  /** A one-time token by `countersign-ca token`. */
  async token(...args: readonly string[]): Promise<string> {
    return (await this.run('token', '--passphrase-file', this.passphraseFile, ...args)).trim();
  }

  /** Changes ca.toml; a server that runs keeps what it read. */
  async set(settings: CaSettings): Promise<void> {
    const { config } = caLayout(this.directory);
    const toml = parse(await readFile(config, 'utf8')) as Record<string, unknown>;
    for (const [section, values] of Object.entries(settings)) {
      if (section === '') Object.assign(toml, values);
      else toml[section] = { ...(toml[section] as object), ...values };
    }
    await writeFile(config, stringify(toml), { mode: 0o600 });
  }

  /** Serves, and resolves when requests are answered. */
  async serve(): Promise<RunningCa> {
    const process = this.startServing();
    await process.until((one) => /^\}/m.test(one.stdout()));
    const { port } = JSON.parse(process.stdout()) as { port: number };
    return {
      ca: this,
      process,
      port,
      url: `https://${this.address}:${port}`,
      [Symbol.asyncDispose]: async () => void (await process.stop()),
    };
  }

  /** `countersign-ca serve` just started, for starts that fail. */
  startServing(...args: readonly string[]): LabProcess {
    return startProcess(this.#commandLine('serve', ['--passphrase-file', this.passphraseFile, '--json', ...args]));
  }

  /** This CA, as somebody runs it who has another file of the passphrase, is in another directory, or starts it in another way. */
  as(other: Partial<Pick<TestCaParts, 'passphraseFile' | 'directory' | 'wrap'>>): TestCa {
    return new TestCa({ ...this.#parts, ...other });
  }

  /** The same CA once more, elsewhere: same keys, same names, same store so far. */
  async copy(directory: string, settings: CaSettings = {}): Promise<TestCa> {
    await cp(this.directory, directory, { recursive: true });
    const copied = this.as({ directory });
    await copied.set(settings);
    return copied;
  }

  /** The store, read beside the server. */
  async openStore(): Promise<StoreReader> {
    const layout = caLayout(this.directory);
    return openSqliteReader(storePath(layout, await openConfig(layout)));
  }

  async rootPem(): Promise<string> {
    return readFile(caLayout(this.directory).rootCertificate, 'utf8');
  }

  /** Lower-case hex, as `init` prints it. */
  async rootFingerprint(): Promise<string> {
    return hash('sha256', new X509Certificate(await this.rootPem()).raw, 'hex');
  }

  async publicKeyLine(which: 'hostCaPublicKey' | 'userCaPublicKey'): Promise<string> {
    return (await readFile(caLayout(this.directory)[which], 'utf8')).trim();
  }

  async weakenEncryption(): Promise<void> {
    const { secrets } = caLayout(this.directory);
    const change = ['-q', '-p', '-P', PASSPHRASE, '-N', PASSPHRASE, '-a', '1', '-f'];
    const files = (await readdir(secrets)).map((name) => join(secrets, name));
    await Promise.all(files.map(async (file) => execa('ssh-keygen', [...change, file])));
  }

  #commandLine(command: string, args: readonly string[]): Program {
    return this.#parts.wrap([...this.#parts.program, command, '--dir', this.directory, ...args]);
  }
}
