/** What the demo shows: each step's heading, each command as a person would type it, and what it printed. */
import { execa } from 'execa';
import type { Program } from '#test/support/programs.ts';

const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

export function heading(text: string): void {
  process.stdout.write(`\n${paint(1, text)}\n`);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function showCommand(words: readonly string[]): void {
  process.stdout.write(`${paint(36, `  $ ${words.map(quote).join(' ')}`)}\n`);
}

export interface Step {
  readonly program: Program;
  /** The name to show for the program. */
  readonly name: string;
  readonly args: readonly string[];
  /** Arguments that belong to the demo's surroundings and would only distract. */
  readonly hidden?: readonly string[];
  /** The same, for programs that want them before the others. */
  readonly before?: readonly string[];
  readonly input?: string;
  readonly quiet?: boolean;
}

/** Runs a command, shows it with what it prints, and gives its output. A failure ends the demo with that output. */
export async function run({
  program,
  name,
  args,
  hidden = [],
  before = [],
  input,
  quiet = false,
}: Step): Promise<string> {
  showCommand([name, ...args]);
  const [file, ...first] = program;
  const result = await execa(file, [...first, ...before, ...args, ...hidden], {
    all: true,
    reject: false,
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
  });
  if (!quiet || result.exitCode !== 0) indent(result.all);
  if (result.exitCode !== 0)
    throw new DemoFailure(`${name} ${args[0] ?? ''} ended with status ${result.exitCode ?? 'none'}`);
  return result.stdout;
}

export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

export function indent(text: string): void {
  for (const line of text.split('\n')) if (line.trim() !== '') process.stdout.write(`    ${line}\n`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./*-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
