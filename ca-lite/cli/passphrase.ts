/** The passphrase of the CA keys: from a file, a descriptor or a prompt; never from the command line or the environment, which others can read. */
import { readFileSync } from 'node:fs';
import { CommandError } from '../command-error.ts';

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  readonly passphraseFd?: number;
}

/** OpenSSH reads no longer ones. */
const MAX_LENGTH = 1024;

/** @param confirm asks twice, for a passphrase that is being set */
export async function readPassphrase(options: PassphraseOptions, { confirm = false } = {}): Promise<Uint8Array> {
  const { passphraseFile, passphraseFd } = options;
  if (passphraseFile !== undefined && passphraseFd !== undefined)
    throw new CommandError('Give --passphrase-file or --passphrase-fd, not both.');
  if (passphraseFile !== undefined) return fromSource(passphraseFile, passphraseFile);
  if (passphraseFd !== undefined) return fromSource(passphraseFd, `descriptor ${passphraseFd}`);
  if (!process.stdin.isTTY)
    throw new CommandError(
      'A passphrase is needed and there is no terminal to ask at. Give --passphrase-file or --passphrase-fd.',
    );
  return fromPrompt(confirm);
}

function fromSource(source: string | number, name: string): Uint8Array {
  try {
    return checked(readFileSync(source));
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(
      `The passphrase cannot be read from ${name}: ${cause instanceof Error ? cause.message : ''}.`,
      { cause },
    );
  }
}

async function fromPrompt(confirm: boolean): Promise<Uint8Array> {
  const { default: password } = await import('@inquirer/password');
  const context = { output: process.stderr };
  const first = await password({ message: 'Passphrase of the CA keys:' }, context);
  if (confirm && (await password({ message: 'Once more:' }, context)) !== first)
    throw new CommandError('The two passphrases differ. Try again.');
  return checked(Buffer.from(first));
}

/** The first line, without its end. */
function checked(bytes: Buffer): Uint8Array {
  const end = bytes.indexOf(0x0a);
  const line = (end === -1 ? bytes : bytes.subarray(0, end)).toString('latin1').replace(/\r$/, '');
  if (line === '') throw new CommandError('The passphrase is empty. The CA keys are never stored without one.');
  if (line.length > MAX_LENGTH || line.includes('\0'))
    throw new CommandError(`The passphrase is longer than ${MAX_LENGTH} bytes or holds a NUL.`);
  return Buffer.from(line, 'latin1');
}
