/** `countersign bootstrap`: its options. */
import type { Command } from 'commander';

export interface BootstrapOptions {
  readonly ca: string;
  readonly fingerprint: string;
  readonly stateDir?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const details = `
Fetches the CA's root certificate, compares its SHA-256 with HEX, and from then on trusts that root alone for connections to
the CA. Over such a connection it fetches the public SSH keys of the CA and stores all of it in authority.json of the state
directory (root: /var/lib/countersign; others: $XDG_STATE_HOME/countersign). The CA prints HEX when it is made: take it from
there, not from the network.

Run again for the same CA, it fetches the SSH keys anew. Another CA is taken only with --force.`;

export function registerBootstrap(program: Command): void {
  program
    .command('bootstrap')
    .summary('trust a CA, by the fingerprint of its root certificate')
    .description('Trust a CA, by the fingerprint of its root certificate.')
    .requiredOption('--ca <url>', 'address of the CA, e.g. https://ca.example.internal:8443')
    .requiredOption('--fingerprint <hex>', 'SHA-256 of the root certificate, 64 hex digits')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--force', 'replace another CA that is trusted already')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', details)
    .action(async (options: BootstrapOptions) => {
      const { runBootstrap } = await import('./bootstrap-run.ts');
      await runBootstrap(options);
    });
}
