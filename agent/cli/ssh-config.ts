/** `countersign ssh-config`: its options. */
import type { Command } from 'commander';
import { collect } from './program.ts';

export interface SshConfigOptions {
  readonly sshDir?: string;
  readonly hosts?: readonly string[];
  readonly socket?: string;
  readonly stateDir?: string;
}

const actions = {
  install: 'let ssh use the agent and trust hosts of the CA',
  refresh: 'ask the CA again which keys to trust and what is revoked; for a timer',
  print: 'print what install would write',
  remove: 'take it away again',
} as const;
export type SshConfigAction = keyof typeof actions;

const details = `
Writes config and known_hosts to countersign/ in the directory, and one Include at the start of its config file: IdentityAgent for the socket
of \`countersign agent\`, an @cert-authority line for each host CA key (of now, next and old ones), and RevokedHostKeys with what the CA
revoked, unless you have one. The CA is asked for both and has to sign them; one that is out of reach leaves what was there. Other lines
stay as they are.`;

export function registerSshConfig(program: Command): void {
  const group = program.command('ssh-config').description('Tell ssh about the agent and about the CA of the hosts.');
  for (const [action, description] of Object.entries(actions)) {
    const command = group
      .command(action)
      .description(description)
      .option('--ssh-dir <dir>', 'the directory of ssh (default: ~/.ssh)')
      .addHelpText('after', details)
      .action(async (options: SshConfigOptions) => {
        const { runSshConfig } = await import('./ssh-config-run.ts');
        await runSshConfig(action as SshConfigAction, options);
      });
    if (action === 'remove') continue;
    command.option('--state-dir <dir>', 'where to keep what is known');
    if (action === 'refresh') continue;
    command
      .option('--hosts <pattern>', 'hosts that the CA is trusted for; may be repeated (default: *)', collect)
      .option('--socket <path>', "the agent's socket (default: the one of `countersign agent`)");
  }
}
