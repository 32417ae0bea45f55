/** `countersign doctor`: its options. */
import type { Command } from 'commander';
import { type PlaceOptions, configuration, withPlaces } from './host.ts';

const details = `
Each line is ok, warn or fail, with what to do. Nothing is changed. Exit status 1 when a line says fail.
Checked for a host: the trusted CA and whether it answers, the clock against the CA's, names against DNS and addresses, whether sshd
answers on each of its addresses and how it is configured, whether the certificates are there, valid and served, trust files and
permissions, and whether an earlier run was interrupted.
With --user: the trusted CA, the clock, the agent that ssh uses, and the certificates in it. For one host: countersign why HOST.`;

export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .summary('look for what is wrong, and say what to do')
    .description('Look for what is wrong on this machine, and say what to do.');
  withPlaces(command)
    .addHelpText('after', details)
    .option('--user', 'look at what your own logins from this machine need, in place of the host')
    .action(async (options: PlaceOptions & { readonly user?: boolean }) => {
      if (options.user === true) {
        const { runUserDoctor } = await import('./doctor-user-run.ts');
        process.exitCode = await runUserDoctor(options);
        return;
      }
      const { runDoctor } = await import('./doctor-run.ts');
      const { options: configured } = await configuration(options);
      process.exitCode = await runDoctor({ ...configured, ...options });
    });
}
