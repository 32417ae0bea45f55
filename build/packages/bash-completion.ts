/** Completion for bash(1), for the directory of bash-completion; it needs nothing of that package. Pure. */
import type { CommandFacts } from './command-facts.ts';
import { type CompletedValue, type Completion, completionsOf, functionName, quote } from './completion-facts.ts';

export function formatBashCompletion(facts: CommandFacts): string {
  const completions = completionsOf(facts);
  const name = functionName(facts.name);
  return `# Made by the build, out of the program.
${name}() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path=${quote(facts.name)} kind= at
    # bash takes --option=value for three words
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=\${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "$path \${COMP_WORDS[at]}" in
${completions.flatMap(leadingCases).join('\n')}
        esac
    done
    case "$path $prev" in
${completions.flatMap(valueCases).join('\n')}
    *)
        case "$path" in
${completions.map(wordCase).join('\n')}
        esac
        ;;
    esac
    COMPREPLY=()
    case $kind in
    words:*) mapfile -t COMPREPLY < <(compgen -W "\${kind#words:}" -- "$cur") ;;
    file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    directory) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    esac
}
complete -F ${name} ${facts.name}
`;
}

/** Which words lead on, and after which the next word is a value. */
function leadingCases({ path, commands, options }: Completion): string[] {
  const words = commands.map(({ name, aliases }) => {
    const patterns = [name, ...aliases].map((word) => quote(`${path} ${word}`)).join(' | ');
    return `        ${patterns}) path=${quote(`${path} ${name}`)} ;;`;
  });
  const withValue = options.filter(({ value }) => value !== null).flatMap(({ flags }) => flags);
  if (withValue.length === 0) return words;
  const patterns = withValue.map((flag) => quote(`${path} ${flag}`)).join(' | ');
  return [...words, `        ${patterns}) [[ \${COMP_WORDS[at + 1]} == '=' ]] && ((at += 2)) || ((at += 1)) ;;`];
}

function valueCases({ path, options }: Completion): string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === null) return [];
    const patterns = flags.map((flag) => quote(`${path} ${flag}`)).join(' | ');
    return [`    ${patterns}) kind=${quote(kindOf(value))} ;;`];
  });
}

function kindOf({ kind, choices }: CompletedValue): string {
  return kind === 'choice' ? `words:${choices.join(' ')}` : kind;
}

function wordCase({ path, commands, options, argument }: Completion): string {
  const flags = options.flatMap((option) => option.flags).join(' ');
  const words = [...commands.map(({ name }) => name), ...(argument?.choices ?? [])].join(' ');
  const rest = words === '' && argument !== null ? kindOf(argument) : `words:${words}`;
  return `        ${quote(path)}) if [[ $cur == -* ]]; then kind=${quote(`words:${flags}`)}; else kind=${quote(rest)}; fi ;;`;
}
