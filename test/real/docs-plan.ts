/**
 * Where the commands of each page run, and what the page takes for granted. A page without a plan runs on a host with a CA that serves. Ids
 * of blocks are those of `doc-blocks.ts`; an id that no page has fails the test.
 */
import type { DocMachine } from '#test/support/doc-machine.ts';

/** `ca.example.internal`, a server, and a laptop. */
export type MachineName = 'ca' | 'web1' | 'laptop';

export interface Stage {
  readonly machines: Readonly<Record<MachineName, DocMachine>>;
  /** Runs a script that is no part of the page; what it prints counts for placeholders. */
  readonly must: (machine: MachineName, script: string) => Promise<void>;
}

export interface PagePlan {
  /** Where blocks run unless `on` says otherwise. */
  readonly machine: MachineName;
  readonly on?: Readonly<Record<string, MachineName>>;
  readonly before?: (stage: Stage) => Promise<void>;
  /** What has to be true only from this block on. */
  readonly beforeBlock?: Readonly<Record<string, (stage: Stage) => Promise<void>>>;
  readonly after?: (stage: Stage) => Promise<void>;
  /** Files that run the block in place of this test: its commands stand in one of them, or it takes them from the page by their heading. */
  readonly elsewhere?: Readonly<Record<string, readonly string[]>>;
  /** Blocks that need the public step CLI. */
  readonly step?: readonly string[];
}

/** Capitals in a command, and where their value comes from: the last match in what the machines printed so far. */
export const placeholders: Readonly<Record<string, RegExp>> = {
  FINGERPRINT: /^Root fingerprint:? +([0-9a-f]{64})$/gm,
  TOKEN: /^(eyJ[\w-]+\.[\w-]+\.[\w-]+)$/gm,
  SERIAL: /^(\d{10,20}) +(?:host|user) /gm,
  HEAD: /^Head:? +([0-9a-f]{64})$/gm,
};

const PASSPHRASE = "printf 'correct horse battery staple\\n' >passphrase && chmod 600 passphrase";

/** A CA as the README makes it, serving. */
async function serveCa({ must }: Stage): Promise<void> {
  await must(
    'ca',
    `${PASSPHRASE}
countersign-ca init --dir ca --name Example --dns ca.example.internal --allow-name '**.example.internal' \\
  --allow-address 10.0.0.0/8 --allow-user alice --passphrase-file passphrase
countersign-ca serve --dir ca --passphrase-file passphrase
export COUNTERSIGN_CA_DIR=$PWD/ca`,
  );
}

async function bootstrap({ must }: Stage, machine: MachineName): Promise<void> {
  await must(machine, 'countersign bootstrap --ca https://ca.example.internal:8443 --fingerprint FINGERPRINT');
}

const newToken = async ({ must }: Stage): Promise<void> =>
  must(
    'ca',
    `systemd-creds decrypt --name=passphrase /etc/credstore.encrypted/countersign-ca.passphrase - |
  runuser -u countersign-ca -- countersign-ca token --user alice --passphrase-fd 0`,
  );

/** A laptop of alice that knows the host CA, with a certificate of hers; web1 is enrolled and has her account. */
async function letAliceIn(stage: Stage): Promise<void> {
  const { must } = stage;
  await bootstrap(stage, 'web1');
  await must('web1', 'countersign host enroll && useradd --create-home alice');
  await must('ca', 'countersign-ca token --user alice --passphrase-file passphrase');
  await must(
    'laptop',
    String.raw`curl -fsSk https://ca.example.internal:8443/roots.pem -o root_ca.crt
hosts=$(curl -fsS --cacert root_ca.crt https://ca.example.internal:8443/ssh/roots | sed 's/.*"hostKey":\["\([^"]*\)".*/\1/')
echo "@cert-authority *.example.internal ssh-ed25519 $hosts" >/etc/ssh/ssh_known_hosts
ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
key=$(cut -d ' ' -f 2 ~/.ssh/id_ed25519.pub)
curl -fsS --cacert root_ca.crt https://ca.example.internal:8443/ssh/sign --json "{\"ott\": \"TOKEN\", \"publicKey\": \"$key\"}" |
  sed 's/.*"crt":"\([^"]*\)".*/ssh-ed25519-cert-v01@openssh.com \1 alice/' >~/.ssh/id_ed25519-cert.pub`,
  );
}

export const defaultPlan: PagePlan = {
  machine: 'web1',
  before: async (stage) => {
    await serveCa(stage);
    await bootstrap(stage, 'web1');
  },
};

export const plans: Readonly<Record<string, PagePlan>> = {
  'README.md': {
    machine: 'ca',
    on: { 'README.md#set-it-up/2': 'web1' },
    before: async ({ must }) => must('ca', PASSPHRASE),
    elsewhere: { 'README.md#try-it-and-test-it/1': ['test/real/demo.test.ts', '.ci/run'] },
  },
  'docs/packages.md': {
    machine: 'ca',
    // on a machine under systemd, where packages can be installed
    elsewhere: Object.fromEntries(
      [
        'install-the-ca/1',
        'install-the-ca/2',
        'install-the-ca/3',
        'install-on-a-host/1',
        'install-on-a-host/2',
        'install-on-a-host/3',
        'for-a-user/1',
        'upgrade-a-package/1',
        'remove-and-purge/1',
        'remove-and-purge/2',
      ].map((block) => [`docs/packages.md#${block}`, ['test/real/packages.test.ts']]),
    ),
  },
  'docs/ca.md': {
    machine: 'ca',
    on: {
      'docs/ca.md#the-first-host/1': 'web1',
      'docs/ca.md#the-first-host/2': 'laptop',
      'docs/ca.md#tokens/2': 'laptop',
      'docs/ca.md#tokens/3': 'laptop',
      'docs/ca.md#clear-a-host/2': 'web1',
    },
    step: ['docs/ca.md#tokens/3'],
    before: async ({ must }) => {
      await must('ca', 'rm /usr/local/bin/countersign-ca'); // the page installs it
      await must('web1', 'useradd --create-home alice');
      const subject = '-nodes -days 30 -subj /CN=Corporate';
      await must(
        'ca',
        `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout corporate-root.key -out corporate-root.crt ${subject}`,
      );
      await must('ca', PASSPHRASE);
    },
    beforeBlock: {
      'docs/ca.md#tokens/3': newToken,
      // A host that was rebuilt: another key, and nothing of us left on it.
      'docs/ca.md#clear-a-host/2': async ({ must }) => {
        await must(
          'web1',
          `countersign host remove; rm /etc/ssh/ssh_host_*; ssh-keygen -A
key=$(cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub)
# sshd does not hear it while it starts anew, as it may do since the remove.
until ssh-keyscan -t ed25519 127.0.0.1 | grep -qF "$key"; do systemctl reload ssh; sleep 1; done`,
        );
      },
      // Administering as root leaves the files to the user of the CA.
      'docs/ca.md#uninstall/1': async ({ must }) =>
        must('ca', 'found=$(find /var/lib/countersign-ca ! -user countersign-ca); echo "$found"; test -z "$found"'),
    },
    after: async ({ must }) => must('ca', '! ls -d /var/lib/countersign-ca /etc/countersign* && ! id countersign-ca'),
  },
  'docs/http-api.md': { machine: 'ca', before: serveCa },
  'docs/troubleshooting.md': {
    machine: 'web1',
    on: {
      'docs/troubleshooting.md#troubleshooting/2': 'ca',
      'docs/troubleshooting.md#ssh-still-asks-whether-to-continue-connecting/1': 'laptop',
      'docs/troubleshooting.md#ssh-still-asks-whether-to-continue-connecting/2': 'laptop',
      'docs/troubleshooting.md#the-ca-cannot-reach-my-host/1': 'ca',
    },
    before: async (stage) => {
      await serveCa(stage);
      await letAliceIn(stage);
    },
  },
  'docs/revocation.md': {
    machine: 'ca',
    before: async (stage) => {
      await serveCa(stage);
      await letAliceIn(stage);
      const { must } = stage;
      await must(
        'ca',
        'cp ca/certs/root_ca.crt root_ca.crt; cp ca/certs/ssh_host_ca.pub ca.pub; countersign-ca certs --type host',
      );
      await must('ca', 'countersign-ca show SERIAL | tail -n 1 >web1-cert.pub');
    },
  },
  'docs/rotation.md': { machine: 'ca', before: serveCa },
  'docs/yubihsm.md': {
    machine: 'ca',
    elsewhere: {
      'docs/yubihsm.md#setting-up/1': ['test/real/yubihsm-docs.test.ts'],
      'docs/yubihsm.md#a-second-device/1': ['test/real/yubihsm-docs.test.ts'],
      'docs/yubihsm.md#the-same-by-hand-with-yubihsm-shell/1': ['test/real/yubihsm-docs.test.ts'],
      'docs/yubihsm.md#the-same-by-hand-with-yubihsm-shell/2': ['test/real/yubihsm-docs.test.ts'],
    },
  },
};
