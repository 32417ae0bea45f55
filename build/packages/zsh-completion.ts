/** Completion for zsh(1): a function for each command, by _arguments (zshcompsys(1)). Pure. */
import type { CommandFacts } from './command-facts.ts';
import {
  type CompletedOption,
  type CompletedValue,
  type Completion,
  completionsOf,
  functionName,
  plain,
  quote,
} from './completion-facts.ts';

export function formatZshCompletion(facts: CommandFacts): string {
  const completions = completionsOf(facts);
  const functions = completions.map(formatFunction).join('\n');
  return `#compdef ${facts.name}\n# Made by the build, out of the program.\n${functions}\n${functionName(facts.name)} "$@"\n`;
}

function formatFunction(completion: Completion): string {
  const { path, commands, options, argument } = completion;
  const positional = argument === null ? [] : [`'*:${argument.name.replaceAll(':', ' ')}:${actionOf(argument)}'`];
  const specifications = [
    ...options.map(specificationOf),
    ...(commands.length > 0 ? ["'1: :->command'", "'*:: :->rest'"] : positional),
  ];
  return `${functionName(path)}() {
  local context curcontext="$curcontext" state state_descr line
  typeset -A opt_args
  _arguments -C -s${specifications.map((one) => ` \\\n    ${one}`).join('')}
${commands.length > 0 ? stateCases(completion) : ''}}`;
}

function stateCases({ path, commands }: Completion): string {
  const described = commands.map(({ name, summary }) => quote(`${name}:${plain(summary).replaceAll(':', '\\:')}`));
  const cases = commands.map(
    ({ name, aliases }) => `        ${[name, ...aliases].join('|')}) ${functionName(`${path} ${name}`)} ;;`,
  );
  return `  case $state in
    command)
      local -a commands=(${described.join(' ')})
      _describe -t commands command commands ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
`;
}

/** May stand more than once: nobody is helped by a completion that hides what the program takes. */
function specificationOf({ flags, description, value }: CompletedOption): string {
  const text = plain(description).replaceAll(/[[\]]/g, String.raw`\$&`);
  const each = flags.map((flag) => {
    const before = value === null ? flag : `${flag}${flag.startsWith('--') ? '=' : '+'}`;
    const after = value === null ? '' : `:${value.name.replaceAll(':', ' ')}:${actionOf(value)}`;
    return quote(`*${before}[${text}]${after}`);
  });
  return each.join(' ');
}

function actionOf({ kind, choices }: CompletedValue): string {
  if (kind === 'choice') return `(${choices.join(' ')})`;
  if (kind === 'directory') return '_files -/';
  return kind === 'file' ? '_files' : ' ';
}
