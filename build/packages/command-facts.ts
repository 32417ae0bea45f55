/** What a program takes on its command line, as data; read from the program itself. */
import { join } from 'node:path';
import { execa } from 'execa';

export interface OptionFacts {
  readonly short: string | null;
  readonly long: string | null;
  /** The name of its value; null for a switch. */
  readonly value: string | null;
  readonly description: string;
  readonly choices: readonly string[];
  /** The environment variable that stands for it. */
  readonly variable: string | null;
  readonly defaultText: string | null;
  readonly mandatory: boolean;
}

export interface ArgumentFacts {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly variadic: boolean;
  readonly choices: readonly string[];
}

export interface CommandFacts {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly description: string;
  /** False for a word that only leads to commands below it. */
  readonly runs: boolean;
  /** What `--help` says behind the options: paragraphs and numbered lists. */
  readonly details: string;
  readonly arguments: readonly ArgumentFacts[];
  readonly options: readonly OptionFacts[];
  readonly commands: readonly CommandFacts[];
}

/** @param entry the program's first file, relative to the root */
export async function readCommands(entry: string): Promise<CommandFacts> {
  const print = join(import.meta.dirname, 'print-commands.ts');
  const { stdout } = await execa(process.execPath, ['--import', print, join(import.meta.dirname, '../..', entry)], {
    stdin: 'ignore',
  });
  return JSON.parse(stdout) as CommandFacts;
}

/** The command and all below it, each with the words that lead to it. */
export function allCommands(
  facts: CommandFacts,
  before: readonly string[] = [],
): { path: string[]; facts: CommandFacts }[] {
  const path = [...before, facts.name];
  return [{ path, facts }, ...facts.commands.flatMap((one) => allCommands(one, path))];
}
