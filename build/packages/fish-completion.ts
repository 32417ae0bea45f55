/** Completion for fish(1). Pure. */
import type { CommandFacts } from './command-facts.ts';
import { type CompletedValue, type Completion, completionsOf, functionName, plain } from './completion-facts.ts';

export function formatFishCompletion(facts: CommandFacts): string {
  const completions = completionsOf(facts);
  const at = `_${functionName(facts.name)}_at`;
  return `# Made by the build, out of the program.
function ${at} --description 'whether the command line has come to this command'
    set -l path ${quote(facts.name)}
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch "$path $word"
${completions.flatMap(leadingCases).join('\n')}
        end
    end
    test "$path" = "$argv"
end
complete -c ${facts.name} -f
${completions.flatMap((one) => completeLines(facts.name, at, one)).join('\n')}
`;
}

function leadingCases({ path, commands, options }: Completion): string[] {
  const words = commands.flatMap(({ name, aliases }) => [
    `            case ${[name, ...aliases].map((word) => quote(`${path} ${word}`)).join(' ')}`,
    `                set path ${quote(`${path} ${name}`)}`,
  ]);
  const withValue = options.filter(({ value }) => value !== null).flatMap(({ flags }) => flags);
  if (withValue.length === 0) return words;
  const patterns = withValue.map((flag) => quote(`${path} ${flag}`)).join(' ');
  return [...words, `            case ${patterns}`, '                set skip yes'];
}

function completeLines(program: string, at: string, { path, commands, options, argument }: Completion): string[] {
  const start = `complete -c ${program} -n ${quote(`${at} ${path}`)}`;
  return [
    ...commands.map(({ name, summary }) => `${start} -a ${quote(name)} -d ${quote(plain(summary))}`),
    ...options.map(({ flags, description, value }) => {
      const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
      return `${start} ${names.join(' ')}${valueWords(value)} -d ${quote(plain(description))}`;
    }),
    ...(argument === null || argument.kind === 'free' ? [] : [`${start}${valueWords(argument)}`]),
  ];
}

function valueWords(value: CompletedValue | null): string {
  if (value === null) return '';
  if (value.kind === 'choice') return ` -x -a ${quote(value.choices.join(' '))}`;
  if (value.kind === 'directory') return ` -x -a '(__fish_complete_directories)'`;
  return value.kind === 'file' ? ' -r -F' : ' -x';
}

/** Fish reads \\\\ and \\' in single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
