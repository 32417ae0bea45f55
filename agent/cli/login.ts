/** `countersign login` and `countersign logout`: their options. */
import { type Command, InvalidArgumentError } from 'commander';

export interface LoginOptions {
  readonly provisioner?: string;
  readonly device?: boolean;
  /** False after --no-browser, a program after --browser. */
  readonly browser?: string | boolean;
  readonly providerCa?: string;
  readonly timeout: number;
  readonly socket?: string;
  readonly stateDir?: string;
  readonly json?: boolean;
}

export type LogoutOptions = Pick<LoginOptions, 'socket' | 'stateDir' | 'json'>;

const details = `
Opens the sign-in page of your identity provider in the browser. When you are back, the CA gives a certificate for a key that is made
for this sign-in and lives in the ssh-agent alone, until the certificate ends: the agent in SSH_AUTH_SOCK, else the one of
\`countersign agent\`. Where no browser can be shown, and with --device, you sign in on another device with a code instead.`;

export function registerLogin(program: Command): void {
  program
    .command('login')
    .summary('sign in, for a certificate in the ssh-agent')
    .description('Sign in at the identity provider, for a user certificate in the ssh-agent.')
    .option('--provisioner <name>', 'which sign-in of the CA, when it has several')
    .option('--device', 'sign in on another device: shows an address, a code and a QR code')
    .option('--browser <program>', 'open the address with this program')
    .option('--no-browser', 'open none: show the address, and wait')
    .option('--provider-ca <file>', 'trust the certificates in this PEM file at the identity provider too')
    .option('--timeout <seconds>', 'how long to wait for you', parseSeconds, 300)
    .option('--socket <path>', 'the socket of the agent, in place of SSH_AUTH_SOCK')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', details)
    .action(async (options: LoginOptions) => {
      const { runLogin } = await import('./login-run.ts');
      await runLogin(options);
    });
  program
    .command('logout')
    .summary('remove the keys and certificates of the CA from the ssh-agent')
    .description('Remove the keys and certificates of the CA from the ssh-agent.')
    .option('--socket <path>', 'the socket of the agent, in place of SSH_AUTH_SOCK')
    .option('--state-dir <dir>', 'where to keep what is known')
    .option('--json', 'print the result as JSON')
    .action(async (options: LogoutOptions) => {
      const { runLogout } = await import('./login-end-run.ts');
      await runLogout(options);
    });
}

function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It takes 1 to 99999 seconds.');
}
