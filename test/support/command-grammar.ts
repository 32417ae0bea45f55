/**
 * What a program takes, as its own `--help` tells it: the judge of commands in the documentation, for the sources and for the executables alike.
 */
import { execa } from 'execa';
import type { Program } from './programs.ts';

export interface CommandGrammar {
  /** Words that lead here: `countersign host enroll`. */
  readonly path: readonly string[];
  /** Whether a value follows, by name: `--json`, `-f`. */
  readonly options: ReadonlyMap<string, boolean>;
  readonly positionals: { readonly least: number; readonly most: number };
  readonly commands: ReadonlyMap<string, CommandGrammar>;
}

/** Asks the program and every command below it. */
export async function readGrammar(
  name: string,
  program: Program,
  path: readonly string[] = [],
): Promise<CommandGrammar> {
  const [file, ...before] = program;
  const { stdout } = await execa(file, [...before, ...path, '--help'], { stdin: 'ignore' });
  const commands = new Map<string, CommandGrammar>();
  for (const names of subcommandsOf(stdout)) {
    const grammar = await readGrammar(name, program, [...path, names[0] ?? '']);
    for (const each of names) commands.set(each, grammar);
  }
  return { path: [name, ...path], options: optionsOf(stdout), positionals: positionalsOf(stdout), commands };
}

/**
 * The first thing that the program would not take, in words; undefined when all is well. An ellipsis stands for whatever may follow.
 * @param whole whether nothing may be missing, as in a command that is to be typed
 */
export function findUsageFault(
  grammar: CommandGrammar,
  words: readonly string[],
  { whole = true } = {},
): string | undefined {
  const ellipsis = words.findIndex((word) => word === '…' || word === '...');
  if (ellipsis !== -1) return faultIn(grammar, words.slice(1, ellipsis), false);
  return faultIn(grammar, words.slice(1), whole);
}

function faultIn(grammar: CommandGrammar, words: readonly string[], whole: boolean): string | undefined {
  const { commands, options, positionals, path } = grammar;
  let found = 0;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--') return undefined;
    if (word.startsWith('-') && word !== '-') {
      const [flag = '', value] = word.split('=', 2);
      const takesValue = options.get(flag);
      if (takesValue === undefined) return `${path.join(' ')} has no option ${flag}`;
      if (takesValue && value === undefined) at += 1;
      continue;
    }
    const command = commands.get(word);
    if (command !== undefined && found === 0)
      return faultIn(withInherited(command, options), words.slice(at + 1), whole);
    found += 1;
    if (found > positionals.most)
      return commands.size > 0 && positionals.most === 0
        ? `${path.join(' ')} has no command ${word}`
        : `${path.join(' ')} takes no more arguments at ${word}`;
  }
  return whole && found < positionals.least ? `${path.join(' ')} wants ${positionals.least} arguments` : undefined;
}

/** Options of the command above may be written behind the one below. */
function withInherited(command: CommandGrammar, options: ReadonlyMap<string, boolean>): CommandGrammar {
  return { ...command, options: new Map([...options, ...command.options]) };
}

function section(help: string, title: string): string[] {
  const lines = help.split('\n');
  const from = lines.indexOf(`${title}:`);
  if (from === -1) return [];
  const to = lines.findIndex((line, at) => at > from && line !== '' && !line.startsWith(' '));
  return lines.slice(from + 1, to === -1 ? undefined : to).filter((line) => /^ {2}\S/.test(line));
}

function optionsOf(help: string): Map<string, boolean> {
  const options = new Map<string, boolean>();
  for (const line of section(help, 'Options')) {
    const [, flags = ''] = /^ {2}(.*?)(?: {2}|$)/.exec(line) ?? [];
    for (const flag of flags.match(/(?<=^|[\s,])--?[A-Za-z][\w-]*/g) ?? []) options.set(flag, /[<[]/.test(flags));
  }
  return options;
}

/** Each with its aliases. */
function subcommandsOf(help: string): string[][] {
  return section(help, 'Commands')
    .map((line) => (/^ {2}([\w|-]+)/.exec(line)?.[1] ?? '').split('|'))
    .filter(([name]) => name !== 'help' && name !== '');
}

function positionalsOf(help: string): { least: number; most: number } {
  const usage = /^Usage: (.*)$/m.exec(help)?.[1] ?? '';
  const own = usage.replace(/\[options\]|\[command\]/g, '');
  const required = own.match(/<[^>]+>/g)?.length ?? 0;
  const optional = own.match(/\[[^\]]+\]/g)?.length ?? 0;
  return { least: required, most: own.includes('...') ? Number.POSITIVE_INFINITY : required + optional };
}
