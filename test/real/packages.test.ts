/**
 * The Debian packages on a machine under systemd: what installing does and does not do, both daemons inside their hardening, upgrade, removal,
 * purge. The tests are the life of one machine, in this order, as docs/packages.md has it. Without root
 * there is no such machine: then the packages are unpacked and looked into.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packages as plans } from '#build/packages/package-plan.ts';
import { version } from '#protocol/version.ts';
import { extractBlocks } from '#test/support/doc-blocks.ts';
import { labKinds } from '#test/support/lab.ts';
import { makeLabDirectory } from '#test/support/lab-directory.ts';
import { type TestPackages, makePackages } from './packages-fixture.ts';
import { PackagesMachine } from './packages-machine.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 }); // each wait has its own end, before these

const stack = new AsyncDisposableStack();
const isRoot = labKinds.includes('namespaces');
let directory: string;
let machine: PackagesMachine;
let packages: TestPackages;

const units = ['countersign-ca.service', 'countersign-host.service', 'countersign-host-renew.service'];
const state = ['/var/lib/countersign-ca/ca/ca.toml', '/var/lib/countersign/host/host.json'];
const settings = ['/etc/default/countersign', '/etc/default/countersign-ca'];

const blocks = extractBlocks('', await readFile(join(import.meta.dirname, '../../docs/packages.md'), 'utf8'));

beforeAll(async () => {
  directory = await makeLabDirectory();
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const [layers, next] = [join(directory, 'layers'), join(directory, 'next')];
  for (const path of [layers, next]) await mkdir(path);
  packages = await makePackages(next);
  if (isRoot) machine = stack.use(await PackagesMachine.boot(layers, [dirname(packages.first[0] ?? ''), next]));
});

afterAll(async () => stack.disposeAsync());

/** A block of the page, with what stands for words in capitals; the packages are in the working directory. */
function block(heading: string, number: number, kind: keyof TestPackages = 'first'): string {
  const found = blocks.find(({ id, language }) => language === 'sh' && id === `${heading}/${number}`);
  if (found === undefined) throw new Error(`docs/packages.md has no block ${heading}/${number}`);
  return `cd /packages/${kind}\n${found.text.replaceAll('FINGERPRINT', '"$(cat /root/fingerprint)"')}`;
}

const exists = async (path: string) => (await machine.attempt(`test -e ${path}`)).exitCode === 0;

/** Without root there is no machine. */
test.each(isRoot ? [] : plans)('the package $name unpacks; installing it takes root', async ({ name, executable }) => {
  const path = packages.first.find((one) => one.includes(`/${name}_`)) ?? '';
  const into = join(directory, name);
  await execa('dpkg-deb', ['--extract', path, into]);
  const { stdout } = await execa(join(into, 'usr/bin', executable), ['--version']);
  expect(stdout).toBe(version);
  const { stdout: conffiles } = await execa('dpkg-deb', ['--info', path, 'conffiles']);
  expect(settings).toContain(conffiles);
});

describe.each(isRoot ? ['a machine under systemd'] : [])('%s', () => {
  describe('installed', () => {
    test('the programs are there, and nothing runs or will', async () => {
      await machine.run(block('#install-the-ca', 1));
      const [install = ''] = block('#install-on-a-host', 1).split('countersign bootstrap');
      await machine.run(install);
      expect(await machine.run('countersign --version; countersign-ca --version')).toBe(`${version}\n${version}`);
      for (const unit of [...units, 'countersign-host.timer']) {
        expect([unit, await machine.show(unit, 'ActiveState')]).toEqual([unit, 'inactive']);
        expect([unit, await machine.show(unit, 'UnitFileState')]).not.toEqual([unit, 'enabled']);
      }
      expect(await machine.run('systemctl --failed --quiet')).toBe('');
    });

    test('the CA has a user that nobody logs in as, and a directory that nobody else reads', async () => {
      expect(await machine.run('getent passwd countersign-ca')).toMatch(
        /:\/var\/lib\/countersign-ca:\/usr\/sbin\/nologin$/,
      );
      expect(await machine.run('stat --format="%a %U" /var/lib/countersign-ca')).toBe('700 countersign-ca');
    });

    test('dpkg finds every file as it was packed', async () => {
      expect(await machine.run('dpkg --verify countersign countersign-ca')).toBe('');
    });

    test.each([...units, 'countersign-host.timer'])('systemd has nothing to say about %s', async (unit) => {
      const { exitCode, stderr } = await machine.attempt(`systemd-analyze verify ${unit}`);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    });

    test.each([
      ['countersign-ca.service', 15],
      ['countersign-host.service', 30],
      ['countersign-host-renew.service', 30],
    ])('the exposure of %s is at most %d of 100', async (unit, most) => {
      const { exitCode, stdout } = await machine.attempt(
        `systemd-analyze security --no-pager --threshold=${most} ${unit}`,
      );
      expect(exitCode, stdout).toBe(0);
    });

    test('its man pages are found', async () => {
      const pages = [
        '1 countersign',
        '8 countersign-host',
        '1 countersign-logout',
        '8 countersign-ca',
        '8 countersign-ca-krl',
      ];
      for (const page of pages) expect(await machine.run(`man --where ${page}`)).toContain('/usr/share/man/');
    });
  });

  describe('in use', () => {
    test('the CA starts as its unit says, and systemd waits until it answers', async () => {
      await machine.run(block('#install-the-ca', 2));
      await machine.run(`
      cd /var/lib/countersign-ca/ca
      sed -i 's/^insecure_allow_loopback = .*/insecure_allow_loopback = true/' ca.toml
      openssl x509 -in certs/root_ca.crt -outform DER | sha256sum | cut -d' ' -f1 >/root/fingerprint`);
      expect(await machine.run(block('#install-the-ca', 3))).toContain(
        'Status: "serving https://ca.example.internal:8443"',
      );
      expect(await machine.show('countersign-ca', 'StatusText')).toBe('serving https://ca.example.internal:8443');
      const root = '/var/lib/countersign-ca/ca/certs/root_ca.crt';
      expect(await machine.run(`curl -fsS --cacert ${root} https://ca.example.internal:8443/health`)).toContain('ok');
    });

    test('the host agent gets a certificate, and its unit looks after it', async () => {
      const enrol = block('#install-on-a-host', 1).replace(/^apt-get.*$/m, '');
      await machine.run(enrol.replace('host enroll', 'host enroll --ip 127.0.0.2')); // a CA does not take loopback for itself
      await machine.run(block('#install-on-a-host', 2));
      expect(await machine.show('countersign-host', 'ActiveState')).toBe('active');
      // sshd, which the daemon may have told to read its configuration anew, answers nobody for a moment
      await machine.until('an sshd with the certificate', async () => {
        const { stdout } = await machine.attempt('ssh-keyscan -c -t ed25519 web1.example.internal 2>/dev/null');
        return stdout.includes('ssh-ed25519-cert-v01@openssh.com');
      });
      await machine.until('a look at the certificates', async () =>
        (await machine.show('countersign-host', 'StatusText')).includes('certificate'),
      );
    });

    test('a daemon that hangs is started again', async () => {
      const daemons = ['countersign-ca', 'countersign-host'];
      const drop = (unit: string) => `/run/systemd/system/${unit}.service.d`;
      const brief = '[Service]\\nWatchdogSec=10s\\nRestartSec=1s\\n';
      for (const unit of daemons)
        await machine.run(`mkdir -p ${drop(unit)}; printf '${brief}' >${drop(unit)}/brief.conf`);
      await machine.run(`systemctl daemon-reload; systemctl restart ${daemons.join(' ')}`);
      const stopped = await Promise.all(daemons.map(async (unit) => machine.show(unit, 'MainPID')));
      await machine.run(`kill -STOP ${stopped.join(' ')}`);
      for (const [at, unit] of daemons.entries()) {
        await machine.until(`another process of ${unit}`, async () => {
          const [pid, active] = [await machine.show(unit, 'MainPID'), await machine.show(unit, 'ActiveState')];
          return active === 'active' && pid !== stopped[at] && pid !== '0';
        });
        expect(await machine.run(`journalctl --sync; journalctl --no-pager --unit=${unit}`)).toContain(
          'Watchdog timeout',
        );
      }
      await machine.run(
        `rm -r ${daemons.map(drop).join(' ')}; systemctl daemon-reload; systemctl restart ${daemons.join(' ')}`,
      );
    });

    test('the timer takes the place of the daemon, and its look works inside its unit', async () => {
      await machine.run(block('#install-on-a-host', 3));
      await machine.until(
        'the end of the daemon',
        async () => (await machine.show('countersign-host', 'ActiveState')) === 'inactive',
      );
      expect(await machine.show('countersign-host-renew', 'Result')).toBe('success');
      await machine.run('systemctl start countersign-host.service');
      await machine.until(
        'the end of the timer',
        async () => (await machine.show('countersign-host.timer', 'ActiveState')) === 'inactive',
      );
    });

    test("a user's session has the agent", async () => {
      await machine.run(`
      useradd --create-home --uid 4711 alice
      loginctl enable-linger alice`);
      const inSession = 'runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/4711';
      await machine.until('the session', async () => exists('/run/user/4711/systemd/private'));
      await machine.run(`${inSession} bash -e <<'END'\n${block('#for-a-user', 1)}\nEND`);
      await machine.until('the socket of the agent', async () => exists('/run/user/4711/countersign/agent.sock'));
      const list = await machine.attempt(
        `${inSession} env SSH_AUTH_SOCK=/run/user/4711/countersign/agent.sock ssh-add -l`,
      );
      expect(list.stdout).toContain('no identities');
    });

    test('the journal has no secret', async () => {
      const journal = await machine.run('journalctl --sync; journalctl --no-pager --output=json');
      expect(journal).toContain('countersign-ca');
      const passphrase = await machine.run(
        'systemd-creds decrypt --name=passphrase /etc/credstore.encrypted/countersign-ca.passphrase -',
      );
      expect(passphrase.length).toBeGreaterThan(40);
      for (const secret of [passphrase, 'PRIVATE KEY']) expect(journal).not.toContain(secret);
      expect(journal).not.toMatch(/(?<![\w+/-])eyJ/); // a token; within a fingerprint these letters are chance
    });
  });

  describe('upgraded', () => {
    test('state and the settings of the administrator stay, what ran runs the new version', async () => {
      const [ca, host] = [
        await machine.show('countersign-ca', 'MainPID'),
        await machine.show('countersign-host', 'MainPID'),
      ];
      const hosts = await machine.run(
        'runuser -u countersign-ca -- countersign-ca hosts --dir /var/lib/countersign-ca/ca --json',
      );
      await machine.run(`for file in ${settings.join(' ')}; do echo '# mine' >>$file; done`);
      await machine.run(`echo 'DPkg::Options { "--force-confold"; };' >/etc/apt/apt.conf.d/90keep`);
      await machine.run(block('#upgrade-a-package', 1, 'next'));
      for (const [unit, before] of [
        ['countersign-ca', ca],
        ['countersign-host', host],
      ] as const) {
        expect(await machine.show(unit, 'ActiveState')).toBe('active');
        expect(await machine.show(unit, 'MainPID')).not.toBe(before);
      }
      for (const file of settings) {
        expect(await machine.run(`cat ${file}`)).toMatch(/# mine$/);
        expect(await machine.run(`cat ${file}.dpkg-dist`)).toMatch(/# of the next version$/);
      }
      expect(
        await machine.run('runuser -u countersign-ca -- countersign-ca hosts --dir /var/lib/countersign-ca/ca --json'),
      ).toBe(hosts);
    });
  });

  describe('taken away', () => {
    test('removal stops the daemons, and keeps state, settings and sshd', async () => {
      const { exitCode, stdout, stderr } = await machine.attempt(block('#remove-and-purge', 1));
      expect(exitCode, stderr).toBe(0);
      expect(stdout + stderr).toContain('countersign host remove');
      for (const unit of units) expect([unit, await machine.show(unit, 'ActiveState')]).toEqual([unit, 'inactive']);
      for (const path of [...state, ...settings]) expect([path, await exists(path)]).toEqual([path, true]);
      expect(await machine.run('sshd -t; systemctl is-active ssh')).toBe('active');
    });

    test('purge takes state and settings too, and leaves sshd as it is', async () => {
      const { exitCode, stdout, stderr } = await machine.attempt(block('#remove-and-purge', 2));
      expect(exitCode, stderr).toBe(0);
      expect(stdout + stderr).toContain('/etc/ssh/sshd_config.d/50-countersign.conf');
      const left = await machine.run(`
      find /etc /usr /var -xdev -newer /etc/machine-id -iname '*countersign*' |
        grep -v -e ^/etc/ssh/ -e ^/etc/credstore.encrypted/ -e ^/var/tmp/ || true`);
      expect(left.split('\n').filter((path) => path !== '')).toEqual([]);
      expect(await machine.run('sshd -t; systemctl is-active ssh; systemctl --failed --quiet')).toBe('active');
    });
  });
});
