/** The Debian packages that `npm run build` makes. A plain table; paths are relative to the root of the project. */

export interface PackagePlan {
  readonly name: string;
  /** Of the executable in dist/; also the name of the program. */
  readonly executable: string;
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  /** Of other packages, besides what the executable needs. */
  readonly depends: readonly string[];
  readonly recommends: readonly string[];
  readonly suggests: readonly string[];
  readonly files: readonly PackagedFile[];
  /** Whether the unit of the ssh-agent for sessions of users is in it. */
  readonly userUnit: boolean;
}

export interface PackagedFile {
  readonly source: string;
  /** Where it goes, without the leading slash. What goes below etc/ is a conffile. */
  readonly target: string;
}

const units = 'usr/lib/systemd/system';
const debian = 'build/packages/debian';

/** What the executables need of the C and C++ libraries; test/real/packages.test.ts holds it against their symbols. */
export const libraries = {
  libc6: '2.28',
  'libgcc-s1': '4.2',
  'libstdc++6': '5.2',
  libatomic1: '4.8',
} as const;

export const packages: readonly PackagePlan[] = [
  {
    name: 'countersign',
    executable: 'countersign',
    summary: 'SSH certificates for plain OpenSSH: agent for hosts and people',
    description: [
      'Hosts prove their SSH host key to a Countersign CA and get certificates, which are renewed for ever; people sign in and hold a certificate in their ssh-agent. Nobody copies keys, and nobody is asked whether to go on connecting.',
      'This package has the agent in both modes: units for systemd that look after the host certificates of a machine, as a daemon or by a timer, and an ssh-agent for the sessions of users. None of them is enabled.',
    ],
    depends: [],
    recommends: ['openssh-server', 'openssh-client'],
    suggests: ['libsecret-1-0'], // the keychain of desktops
    files: [
      { source: 'agent/host/service/countersign-host.service', target: `${units}/countersign-host.service` },
      {
        source: 'agent/host/service/countersign-host-renew.service',
        target: `${units}/countersign-host-renew.service`,
      },
      { source: 'agent/host/service/countersign-host.timer', target: `${units}/countersign-host.timer` },
      { source: `${debian}/countersign.default`, target: 'etc/default/countersign' },
      { source: 'docs/examples/enrol.sh', target: 'usr/share/doc/countersign/examples/enrol.sh' },
      { source: 'docs/examples/host.toml', target: 'usr/share/doc/countersign/examples/host.toml' },
      { source: 'docs/examples/agent.toml', target: 'usr/share/doc/countersign/examples/agent.toml' },
    ],
    userUnit: true,
  },
  {
    name: 'countersign-ca',
    executable: 'countersign-ca',
    summary: 'lightweight certificate authority for SSH',
    description: [
      'Issues SSH host and user certificates: hosts prove the key that they serve, people sign in with OpenID Connect. Keys are in an encrypted file, a YubiHSM 2 or another HSM; every decision is explained and recorded.',
      'This package has the program, a user for it, and a unit for systemd, which is not enabled: a CA has to be made first.',
    ],
    depends: ['systemd | systemd-standalone-sysusers'],
    recommends: [],
    suggests: [],
    files: [
      { source: 'docs/examples/countersign-ca.service', target: `${units}/countersign-ca.service` },
      { source: `${debian}/countersign-ca.sysusers`, target: 'usr/lib/sysusers.d/countersign-ca.conf' },
      { source: `${debian}/countersign-ca.default`, target: 'etc/default/countersign-ca' },
      { source: 'docs/examples/ca.toml', target: 'usr/share/doc/countersign-ca/examples/ca.toml' },
    ],
    userUnit: false,
  },
];
