/** Which man pages there are, and what each is about. A command that stands in no row gets a page of its own. A plain table. */

export interface ManPagePlan {
  /** Commands right below the program; none: the page of the program itself. The first one gives the page its name. */
  readonly commands: readonly string[];
  readonly section: number;
  /** One line for whatis(1); without it the summary of the command. */
  readonly about?: string;
  /** Pages of others, as `sshd_config(5)`. */
  readonly seeAlso: readonly string[];
}

export interface ManualPlan {
  readonly program: string;
  /** The program's first file. */
  readonly entry: string;
  /** Of pages that stand in no row. */
  readonly section: number;
  readonly pages: readonly ManPagePlan[];
}

export const manuals: readonly ManualPlan[] = [
  {
    program: 'countersign',
    entry: 'agent/main.ts',
    section: 1,
    pages: [
      { commands: [], section: 1, about: 'SSH certificates for plain OpenSSH', seeAlso: ['ssh(1)', 'sshd(8)'] },
      { commands: ['bootstrap'], section: 1, seeAlso: [] },
      {
        commands: ['host'],
        section: 8,
        about: 'host certificates for the sshd of this machine',
        seeAlso: ['sshd(8)', 'sshd_config(5)', 'systemctl(1)'],
      },
      {
        commands: ['agent', 'status', 'approve', 'agent-service'],
        section: 1,
        about: 'an ssh-agent with certificates, and what talks to it',
        seeAlso: ['ssh-add(1)', 'ssh-agent(1)', 'ssh_config(5)'],
      },
      { commands: ['login', 'logout'], section: 1, about: 'sign in for an SSH certificate', seeAlso: ['ssh-add(1)'] },
      {
        commands: ['ssh-config'],
        section: 1,
        about: 'tell ssh about the agent and the CA',
        seeAlso: ['ssh_config(5)'],
      },
      {
        commands: ['doctor'],
        section: 1,
        about: 'find what is wrong with the certificates of this machine',
        seeAlso: [],
      },
    ],
  },
  {
    program: 'countersign-ca',
    entry: 'ca-lite/main.ts',
    section: 8,
    pages: [
      { commands: [], section: 8, about: 'a certificate authority for SSH', seeAlso: ['ssh-keygen(1)', 'sshd(8)'] },
      {
        commands: ['init', 'import-intermediate'],
        section: 8,
        about: 'make a CA directory',
        seeAlso: ['systemd-creds(1)'],
      },
      { commands: ['serve', 'check-config'], section: 8, about: 'run the CA', seeAlso: ['systemd.service(5)'] },
      { commands: ['token'], section: 8, about: 'make a one-time token for a certificate', seeAlso: [] },
      {
        commands: ['certs', 'show', 'hosts', 'audit'],
        section: 8,
        about: 'look at what the CA issued and decided',
        seeAlso: [],
      },
      {
        commands: ['grant', 'lineages', 'lineage'],
        section: 8,
        about: 'renewals after expiry, and copied keys',
        seeAlso: [],
      },
      {
        commands: ['revoke', 'krl'],
        section: 8,
        about: 'take certificates and keys out of use',
        seeAlso: ['ssh-keygen(1)', 'sshd_config(5)'],
      },
      { commands: ['rotate'], section: 8, about: 'walk to another SSH CA key', seeAlso: [] },
      { commands: ['backup', 'restore'], section: 8, about: 'copy the CA, and bring it back', seeAlso: [] },
      { commands: ['hsm'], section: 8, about: 'keep the SSH CA keys in a YubiHSM 2', seeAlso: ['yubihsm-shell(1)'] },
    ],
  },
];
