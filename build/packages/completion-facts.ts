/** What the three shells complete, out of the commands of a program: which words lead where, and what may follow. Pure. */
import { type ArgumentFacts, type CommandFacts, type OptionFacts, allCommands } from './command-facts.ts';

export interface Completion {
  /** Words that lead here, without aliases: `countersign host enroll`. */
  readonly path: string;
  readonly commands: readonly {
    readonly name: string;
    readonly aliases: readonly string[];
    readonly summary: string;
  }[];
  readonly options: readonly CompletedOption[];
  /** Of the first positional argument; those behind it are alike. */
  readonly argument: CompletedValue | null;
}

export interface CompletedOption {
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: CompletedValue | null;
}

export interface CompletedValue {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'choice' | 'free';
  readonly choices: readonly string[];
}

export function completionsOf(facts: CommandFacts): Completion[] {
  return allCommands(facts).map(({ path, facts: { commands, options, arguments: values } }) => ({
    path: path.join(' '),
    commands: commands.map(({ name, aliases, summary }) => ({ name, aliases, summary })),
    options: options.map(optionOf),
    argument: values[0] === undefined ? null : valueOf(values[0]),
  }));
}

function optionOf({ short, long, value, description, choices }: OptionFacts): CompletedOption {
  const flags = [short, long].filter((flag) => flag !== null);
  return { flags, description, value: value === null ? null : valueOf({ name: value, choices }) };
}

/** Told by the name of the value, which help shows too. */
function valueOf({ name, choices }: Pick<ArgumentFacts, 'name' | 'choices'>): CompletedValue {
  if (choices.length > 0) return { name, kind: 'choice', choices };
  if (/^(dir|directory)$/.test(name)) return { name, kind: 'directory', choices };
  return { name, kind: /^(file|path|program|socket)\b/.test(name) ? 'file' : 'free', choices };
}

/** Quoted for any of the shells; what is in single quotes means itself. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** `countersign-ca` as part of a function's name. */
export function functionName(path: string): string {
  return `_${path.replaceAll(/[^A-Za-z0-9]+/g, '_')}`;
}

/** Descriptions on one line, without the quotes of Markdown. */
export function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('`', '');
}
