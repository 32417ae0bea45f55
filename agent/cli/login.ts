/** `countersign login`, `renew` and `logout`: their options. */
import { type Command, InvalidArgumentError, Option } from 'commander';

export interface LoginOptions {
  readonly provisioner?: string;
  readonly device?: boolean;
  /** False after --no-browser, a command after --browser. */
  readonly browser?: string | boolean;
  readonly providerCa?: string;
  /** Of workloads, which sign in without a person: docs/oidc.md. */
  readonly tokenFile?: string;
  readonly tokenCommand?: string;
  readonly actions?: boolean;
  readonly timeout: number;
  readonly socket?: string;
  readonly stateDir?: string;
  readonly json?: boolean;
}

export type LogoutOptions = Pick<LoginOptions, 'socket' | 'stateDir' | 'json'>;

export type RenewOptions = Pick<LoginOptions, 'provisioner' | 'socket' | 'json'>;

const details = `
Opens the sign-in page of your identity provider in the browser. When you are back, the CA gives a certificate for a key that is made
for this sign-in and lives in the ssh-agent alone. The agent of \`countersign agent\` renews it from then on, where the identity provider or
the CA lets it; another ssh-agent, in SSH_AUTH_SOCK, keeps it until it ends. Where no browser can be shown, and with --device, you sign
in on another device with a code instead.`;

/** Options that only make sense with a person. */
const persons = ['device', 'browser'];

export function registerLogin(program: Command): void {
  program
    .command('login')
    .summary('sign in, for a certificate in the ssh-agent')
    .description('Sign in at the identity provider, for a user certificate in the ssh-agent.')
    .option('--provisioner <name>', 'which sign-in of the CA, when it has several')
    .option('--device', 'sign in on another device: shows an address, a code and a QR code')
    .option('--browser <command>', 'open the address with this command; %s stands for the address (default: $BROWSER)')
    .option('--no-browser', 'open none: show the address, and wait')
    .option('--provider-ca <file>', 'trust the certificates in this PEM file at the identity provider too')
    .addOption(
      new Option('--token-file <file>', 'sign a machine in, with the ID token in this file').conflicts(persons),
    )
    .addOption(
      new Option(
        '--token-command <program>',
        'sign a machine in, with the ID token that this program prints',
      ).conflicts([...persons, 'tokenFile']),
    )
    .addOption(
      new Option('--actions', "sign a CI run in, with an ID token of its platform's token service").conflicts([
        ...persons,
        'tokenFile',
        'tokenCommand',
      ]),
    )
    .option('--timeout <seconds>', 'how long to wait for you', parseSeconds, 300)
    .option('--socket <path>', 'the socket of the agent; default: yours (docs/agent.md)')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', details)
    .action(async (options: LoginOptions) => {
      if (options.tokenFile !== undefined || options.tokenCommand !== undefined || options.actions === true) {
        const { runWorkloadLogin } = await import('./login-workload-run.ts');
        return runWorkloadLogin(options);
      }
      const { runLogin } = await import('./login-run.ts');
      return runLogin(options);
    });
  program
    .command('logout')
    .summary('end the sign-in: here, in the keychain and at the identity provider')
    .description('End the sign-in, and remove the keys and certificates of the CA from the ssh-agent.')
    .option('--socket <path>', 'the socket of the agent; default: yours (docs/agent.md)')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--json', 'print the result as JSON')
    .action(async (options: LogoutOptions) => {
      const { runLogout } = await import('./login-end-run.ts');
      process.exitCode = await runLogout(options);
    });
  program
    .command('renew')
    .summary('renew the certificates of your sign-ins now')
    .description('Renew the certificates of your sign-ins now. The agent does it by itself in time.')
    .option('--provisioner <name>', 'of this sign-in alone')
    .option('--socket <path>', 'the socket of the agent; default: yours (docs/agent.md)')
    .option('--json', 'print the result as JSON')
    .action(async (options: RenewOptions) => {
      const { runRenew } = await import('./login-renew-run.ts');
      process.exitCode = await runRenew(options);
    });
}

function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It takes 1 to 99999 seconds.');
}
