/** `countersign why`: its options. */
import type { Command } from 'commander';

export interface WhyOptions {
  readonly ssh: string;
  readonly sshConfig?: string;
  readonly stateDir?: string;
  readonly json?: boolean;
}

const details = `
Reads what ssh would do (ssh -G), looks at the agent, the certificates in it and the CA, and tries once (ssh -v HOST true, which asks
nothing). Each line is ok, warn or fail, with what to do. Exit status 0 when ssh gets in, 1 when not.`;

export function registerWhy(program: Command): void {
  program
    .command('why')
    .summary('explain why ssh does not get in')
    .description('Explain why ssh to a host does not get in, or asks.')
    .argument('<host>', 'as you type it after ssh')
    .option('--ssh <program>', 'the ssh to ask', 'ssh')
    .option('--ssh-config <file>', 'the configuration of ssh, as ssh -F')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', details)
    .action(async (host: string, options: WhyOptions) => {
      const { runWhy } = await import('./why-run.ts');
      process.exitCode = await runWhy(host, options);
    });
}
