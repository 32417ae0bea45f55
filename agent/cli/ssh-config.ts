/** `countersign ssh-config`: its options. */
import type { Command } from 'commander';
import { parsePort } from './port-option.ts';
import { collect } from './program.ts';

export interface SshConfigOptions {
  readonly sshDir?: string;
  readonly hosts?: readonly string[];
  readonly socket?: string;
  readonly stateDir?: string;
}

export interface KnownHostsOptions {
  readonly sshDir?: string;
  readonly stateDir?: string;
  readonly address?: string;
  readonly port: number;
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

const knownHostsDetails = `
Connects to each host and has it prove its key and its certificate; nobody logs in. A host is listed when the certificate is one of the CA, for that
name, valid and not revoked. The lines know of no expiry and no revocation: make them anew from time to time. Any other host: exit status 1.`;

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
  group
    .command('known-hosts')
    .description('print known_hosts lines with the plain keys of hosts, for clients that cannot use certificates')
    .argument('<host...>', 'names that the hosts are certified for')
    .option('--port <number>', 'where their sshd listens', parsePort, 22)
    .option('--address <address>', 'connect there instead of where the name leads; with one host')
    .option('--ssh-dir <dir>', 'the directory of ssh, with what the CA revoked (default: ~/.ssh)')
    .option('--state-dir <dir>', 'where to keep what is known')
    .addHelpText('after', knownHostsDetails)
    .action(async (hosts: string[], options: KnownHostsOptions) => {
      const { runKnownHosts } = await import('./known-hosts-run.ts');
      await runKnownHosts(hosts, options);
    });
}
