/**
 * What a set-up asks of the person at the terminal, and the same from files: passwords, shares, a yes.
 *
 * Secrets come by file, descriptor or prompt, never by the command line or the environment, which others can read. A share
 * that is shown at the terminal is wiped from the screen when its custodian has it.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { CommandError } from '../../command-error.ts';
import { writeNewFile } from '../../files/write-new.ts';
import type { Custodians } from './initialise.ts';

const maxSecret = 1024;
const clearScreen = '\u001b[2J\u001b[3J\u001b[H';

/** Where a password comes from. */
export interface SecretSource {
  file?: string | undefined;
  descriptor?: number | undefined;
}

/** Whoever sits at the terminal; tests put themselves there. */
export interface Person {
  /** Asks without showing what is typed. */
  secret(question: string): Promise<string>;
  /** Waits for Enter. */
  wait(message: string): Promise<void>;
  /** Shows a text that is to be wiped afterwards. */
  show(text: string): void;
  wipe(): void;
}

/** The terminal. Throws {@link CommandError} when there is none. */
export function terminalPerson(): Person {
  if (!process.stdin.isTTY) {
    throw new CommandError(
      'This asks for secrets and there is no terminal to ask at. Give them by file or descriptor.',
    );
  }
  return {
    secret: async (question) => {
      const { default: password } = await import('@inquirer/password');
      return password({ message: question }, { output: process.stderr });
    },
    wait: async (message) => {
      using lines = createInterface({ input: process.stdin, output: process.stderr });
      await lines.question(message);
    },
    show: (text) => void process.stderr.write(`${text}\n`),
    wipe: () => void process.stderr.write(clearScreen),
  };
}

/** Reads a password. `confirm` asks twice, for one that is being set. */
export async function readPassword(
  what: string,
  source: SecretSource,
  person: () => Person,
  { confirm = false } = {},
): Promise<string> {
  const { file, descriptor } = source;
  if (file !== undefined && descriptor !== undefined) {
    throw new CommandError(`Give the ${what} by file or by descriptor, not both.`);
  }
  if (file !== undefined) return checked(what, readSource(file, file));
  if (descriptor !== undefined) return checked(what, readSource(descriptor, `descriptor ${descriptor}`));
  const asked = person();
  const first = await asked.secret(`The ${what}:`);
  if (confirm && (await asked.secret('Once more:')) !== first) {
    throw new CommandError('The two passwords differ. Try again.');
  }
  return checked(what, first);
}

function readSource(source: string | number, name: string): string {
  try {
    return readFileSync(source, 'utf8').split('\n', 1)[0] ?? '';
  } catch (cause) {
    throw new CommandError(`${name} cannot be read: does it exist, and may this user read it?`, { cause });
  }
}

function checked(what: string, text: string): string {
  const line = text.replace(/\r$/, '');
  if (line === '' || line.length > maxSecret) throw new CommandError(`The ${what} is empty or too long.`);
  return line;
}

/** Custodians whose shares are in files, one share each. */
export function fileCustodians(files: readonly string[]): Custodians {
  return {
    distribute: async (shares) => {
      if (files.length !== shares.length) {
        throw new CommandError(`Give --share-file ${shares.length} times: one file for each share.`);
      }
      for (const [index, share] of shares.entries()) await writeNewFile(files[index]!, `${share}\n`, 0o600);
    },
    collect: async (count) => files.slice(-count).map((file) => readSource(file, file)),
  };
}

/** Custodians at the terminal, one after the other. */
export function terminalCustodians(person: Person): Custodians {
  return {
    distribute: async (shares) => {
      for (const [index, share] of shares.entries()) {
        await person.wait(`Share ${index + 1} of ${shares.length}: its custodian alone looks at the screen. Enter.`);
        person.show(`\n${share}\n`);
        await person.wait('Write it down or store it now; it is not shown again. Enter.');
        person.wipe();
      }
    },
    collect: (count) => collectShares(person, count),
  };
}

/** Asks for shares at the terminal. */
export async function collectShares(person: Person, count: number): Promise<string[]> {
  const shares: string[] = [];
  while (shares.length < count) shares.push(await person.secret(`Share ${shares.length + 1} of the ${count} needed:`));
  return shares;
}

/** Shares from files, or from the terminal: the first one tells how many are needed. */
export async function readShares(
  files: readonly string[],
  person: () => Person,
  thresholdOf: (share: string) => number,
): Promise<string[]> {
  if (files.length > 0) return files.map((file) => readSource(file, file));
  const asked = person();
  const first = await asked.secret('The first share:');
  return [first, ...(await collectShares(asked, thresholdOf(first) - 1))];
}
