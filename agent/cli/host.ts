/** `countersign host …`: the options of its commands. */
import type { Command } from 'commander';
import type { HostConfig } from '../host/host-config.ts';
import { parsePort } from './port-option.ts';
import { collect } from './program.ts';

/** Where things are, for machines that differ from the usual. */
export interface PlaceOptions {
  readonly config?: string;
  readonly stateDir?: string;
  readonly sshd?: string;
  readonly sshdConfig?: string;
  readonly reload?: string;
  readonly json?: boolean;
}

export interface EnrollOptions extends PlaceOptions {
  readonly name?: readonly string[];
  readonly ip?: readonly string[];
  readonly port?: number;
  readonly allKeys?: boolean;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
  readonly trustUsers: boolean;
}

export interface RemoveOptions extends PlaceOptions {
  readonly force?: boolean;
}

export interface RenewOptions extends PlaceOptions {
  readonly force?: boolean;
}

export interface RunOptions extends PlaceOptions {
  readonly schedule?: string;
}

const enrollDetails = `
What happens, in this order:
  1. Asks sshd itself (sshd -T) for its host keys, addresses and ports, and checks that it answers with these keys.
  2. Asks the CA for a challenge. The CA resolves every name, connects to every address, and goes on only if it meets this
     host key there. The host key signs the challenge, and the CA hands out a certificate for that key.
  3. Writes the certificate beside the key (KEY-cert.pub) and a drop-in for sshd; checks the configuration (sshd -t), reloads
     sshd, connects to it and looks whether the certificate is served. If anything fails, every file is put back and sshd is
     reloaded again. Nothing about logins changes, except that sshd accepts user certificates of the CA from then on where no
     other user CA is configured (see --no-trust-users).
  4. Reports to the CA that the certificate is in use. If that fails, the next renewal pass does it.

Without --name: the fully qualified name of this machine. Without --ip: the addresses of this machine that DNS has for the names;
the CA wants names and addresses to agree exactly. Loopback and link-local addresses are used only when given with --ip.`;

const removeDetails = `
Puts every file back as it was before the first enrolment, byte for byte, checks the configuration, reloads sshd and looks that it
answers. Certificates that the CA made stay valid until they expire; the CA keeps its record of this host. Files that somebody
changed since stop the removal, unless --force is given, which discards those changes.`;

const renewDetails = `
Looks at every certificate of this host: one that is due (two thirds of its lifetime are over) is renewed with the host key, installed
and served as at enrolment, and reported to the CA. What an earlier run left unfinished is ended. When nothing is due, nothing is
changed, and the exit status is 0. A failure is remembered, and asked again after a pause only; --force does not wait.

A wrong clock is no obstacle: the signed time of the CA is used in its place, and the clock is left alone.

An expired certificate renews when an administrator gave leave: the refusal names the command.`;

const runDetails = `
Looks at every certificate at the start, on the schedule, when one is due, when a pause after a failure is over, when the clock was set or
the machine slept, and when the network came back. What it did goes to standard output, a line for each event; with --json as JSON.
Under systemd (Type=notify) it says when it is ready and how things are. The CA decides what is allowed: see countersign host renew.`;

export function registerHost(program: Command): void {
  const host = program
    .command('host')
    .summary('host certificates for the sshd of this machine')
    .description('Host certificates for the sshd of this machine.')
    .helpCommand(false);
  registerEnroll(host);
  registerRenew(host);
  registerRun(host);
  registerStatus(host);
  registerRemove(host);
}

function registerEnroll(host: Command): void {
  const command = host
    .command('enroll')
    .alias('enrol')
    .summary('prove the host key to the CA and install a host certificate')
    .description('Prove the host key to the CA, and install the host certificate that it gives.')
    .option('--name <name>', 'a name that clients use for this host; repeat for more (default: its full name)', collect)
    .option('--ip <address>', 'an address under which the CA reaches this host; repeat for more', collect)
    .option('--port <port>', 'port on which the CA reaches sshd (default: the first of sshd)', parsePort)
    .option('--all-keys', 'enrol every key that sshd serves, not only Ed25519')
    .option('--no-trust-users', 'do not let sshd accept user certificates of this CA')
    .option('--replace', "replace another CA's certificate for the same key")
    .option('--dry-run', 'show what would be asked for and changed, and stop');
  withPlaces(command)
    .addHelpText('after', enrollDetails)
    .action(async (options: EnrollOptions) => {
      const { runEnroll } = await import('./enroll-run.ts');
      const { options: configured } = await configuration(options);
      const trustUsers = options.trustUsers && configured.trustUsers !== false;
      await runEnroll({ ...configured, ...options, trustUsers });
    });
}

function registerRenew(host: Command): void {
  const command = host
    .command('renew')
    .summary('renew the certificates that are due')
    .description(
      'Renew the certificates that are due, once. For a timer; `countersign host run` stays and does it by itself.',
    )
    .option('--force', 'renew all of them now');
  withPlaces(command)
    .addHelpText('after', renewDetails)
    .action(async (options: RenewOptions) => {
      const { runRenew } = await import('./renew-run.ts');
      const { options: configured, policy } = await configuration(options);
      await runRenew({ ...configured, ...options }, policy);
    });
}

function registerRun(host: Command): void {
  const command = host
    .command('run')
    .summary('stay, and renew the certificates by itself')
    .description(
      'Stay, and renew the certificates of this host by itself until SIGTERM. For a service; it does not go to the background.',
    )
    .option(
      '--schedule <cron>',
      'when to look, besides the moments that are known to matter (default: "*/15 * * * *")',
    );
  withPlaces(command)
    .addHelpText('after', runDetails)
    .action(async (options: RunOptions) => {
      const { runHostDaemon } = await import('./daemon-run.ts');
      const { options: configured, policy } = await configuration(options);
      await runHostDaemon({ ...configured, ...options }, policy);
    });
}

function registerStatus(host: Command): void {
  const command = host
    .command('status')
    .summary('what is installed, and whether sshd serves it')
    .description('What is installed, and whether sshd serves it. Exit status 1 when something needs attention.');
  withPlaces(command).action(async (options: PlaceOptions) => {
    const { runStatus } = await import('./status-run.ts');
    const { options: configured } = await configuration(options);
    process.exitCode = await runStatus({ ...configured, ...options });
  });
}

function registerRemove(host: Command): void {
  const command = host
    .command('remove')
    .summary('take everything away again')
    .description('Take everything away again: leave the machine as it was before the enrolment.')
    .option('--force', 'also discard changes that somebody made to our files');
  withPlaces(command)
    .addHelpText('after', removeDetails)
    .action(async (options: RemoveOptions) => {
      const { runRemove } = await import('./remove-run.ts');
      const { options: configured } = await configuration(options);
      await runRemove({ ...configured, ...options });
    });
}

/** The options that say where things are. */
export function withPlaces(command: Command): Command {
  return command
    .option(
      '--config <file>',
      'configuration of these commands (default: /etc/countersign/host.toml, where it is there)',
    )
    .option('--sshd-config <file>', 'configuration of the sshd to work on (default: the one that sshd reads itself)')
    .option('--sshd <program>', 'the sshd program (default: looked for in /usr/sbin and the like)')
    .option('--reload <command>', 'how to reload sshd: a program and its arguments, run without a shell')
    .option('--state-dir <dir>', 'where to keep what is known (root: /var/lib/countersign)')
    .option('--json', 'print the result as JSON');
}

/** Options of the command line win over it. @throws HostConfigError */
export async function configuration({ config }: PlaceOptions): Promise<HostConfig> {
  const { readHostConfig } = await import('../host/host-config.ts');
  return readHostConfig(config);
}
