/** A directory of one's own with the installed OpenSSH at hand, for the tests of the formats. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

export interface ProgramResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export class Workshop implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(): Promise<Workshop> {
    return new Workshop(await mkdtemp(join(tmpdir(), 'countersign-formats-')));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Private keys are files of their owner alone, or ssh-keygen refuses them. */
  async write(name: string, content: Uint8Array | string): Promise<string> {
    const path = this.path(name);
    await rm(path, { force: true });
    await writeFile(path, content, { mode: 0o600 });
    return path;
  }

  async read(name: string): Promise<Uint8Array> {
    return new Uint8Array(await readFile(this.path(name)));
  }

  async readText(name: string): Promise<string> {
    return readFile(this.path(name), 'utf8');
  }

  /** Runs a program in the directory, in English and UTC; whatever its exit status. */
  async try(program: string, args: readonly string[], input: Uint8Array | string = ''): Promise<ProgramResult> {
    const { exitCode, stdout, stderr } = await execa(program, args, {
      cwd: this.directory,
      env: { LC_ALL: 'C.UTF-8', TZ: 'UTC', SSH_AUTH_SOCK: '' },
      input,
      reject: false,
      stripFinalNewline: false,
    });
    return { exitCode, stdout, stderr };
  }

  /** As `try`, for what must succeed: its output. */
  async run(program: string, args: readonly string[], input: Uint8Array | string = ''): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(program, args, input);
    if (exitCode !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  async keygen(...args: readonly string[]): Promise<string> {
    return this.run('ssh-keygen', args);
  }

  /** A new unencrypted key of ssh-keygen: `NAME` and `NAME.pub`. */
  async newKey(name: string, type: string, bits?: number): Promise<void> {
    const size = bits === undefined ? [] : ['-b', `${bits}`];
    await this.keygen('-q', '-t', type, ...size, '-N', '', '-C', 'a comment', '-f', name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The kinds of keys that ssh-keygen makes without a device. */
export const madeKinds = [
  ['ed25519', undefined],
  ['ecdsa', 256],
  ['ecdsa', 384],
  ['ecdsa', 521],
  ['rsa', 2048],
] as const;

export function nameOf(type: string, bits: number | undefined): string {
  return `${type}${bits ?? ''}`;
}
