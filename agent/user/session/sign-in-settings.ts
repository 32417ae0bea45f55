/** How the agent signs in: `[sign-in]` of agent.toml, with its defaults. */

export interface SignInSettings {
  /** What happens when ssh asks and no certificate is valid: nothing, a question for the person, or the browser. */
  readonly whenAsked: 'off' | 'ask' | 'browser';
  /** For logins to hosts that show a certificate of our host CA, or to all. */
  readonly hosts: 'certified' | 'all';
  /** How long ssh is kept waiting; below sshd's LoginGraceTime of 120 s. */
  readonly waitSeconds: number;
  /** A command that opens the address (`login/browser.ts`); undefined: `$BROWSER`, else the desktop's. */
  readonly browser?: string;
  /** Which sign-in of the CA, when ssh asks. */
  readonly provisioner?: string;
  /** `auto`: the daemon keeps refresh tokens in the keychain of the system, where there is a safe one; `on`: another agent does too. */
  readonly keychain: 'auto' | 'on' | 'off';
  /** Undefined: where `countersign bootstrap` of this user puts it. */
  readonly stateDirectory?: string;
}

export const defaultSignInSettings: SignInSettings = {
  whenAsked: 'ask',
  hosts: 'certified',
  waitSeconds: 60,
  keychain: 'auto',
};
