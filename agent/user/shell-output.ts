/** What `eval` reads: the variables of an agent in the words of a shell, as ssh-agent prints them. */

export type ShellKind = 'sh' | 'csh';

/** The words of $SHELL unless the user chose. */
export function shellKindOf(shell: string | undefined): ShellKind {
  return shell?.endsWith('csh') === true ? 'csh' : 'sh';
}

/** @param pid undefined: only the socket, for an agent in the foreground */
export function formatVariables(kind: ShellKind, socket: string, pid?: number): string {
  const set = (name: string, value: string): string =>
    kind === 'csh' ? `setenv ${name} ${quote(value)};\n` : `${name}=${quote(value)}; export ${name};\n`;
  return set('SSH_AUTH_SOCK', socket) + (pid === undefined ? '' : set('SSH_AGENT_PID', String(pid)));
}

export function formatKilled(kind: ShellKind, pid: number): string {
  const unset = kind === 'csh' ? 'unsetenv' : 'unset';
  return `${unset} SSH_AUTH_SOCK;\n${unset} SSH_AGENT_PID;\necho Agent pid ${pid} killed;\n`;
}

/** Plain where nothing needs quoting, as ssh-agent prints it; else in single quotes, safe in both kinds of shell. */
function quote(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
