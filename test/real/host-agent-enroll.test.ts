/** `countersign host enroll`, `status` and `remove` on a real sshd: the certificate appears, and everything goes again. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { readCertificateFile } from '#agent/host/certificate-file.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { firstKey } from '#test/support/across-reload.ts';
import { readTree } from '#test/support/file-tree.ts';
import {
  type EnrolledReport,
  type TestHost,
  loginConfig,
  runAgent,
  ssh,
  startHost,
  writeKnownHosts,
} from './host-agent-fixture.ts';

async function enrollAsJson(host: TestHost, ...args: string[]): Promise<EnrolledReport> {
  const { status, stdout, stderr } = await host.enroll('--json', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as EnrolledReport;
}

describe('an enrolment', () => {
  test('makes sshd serve a certificate, with which ssh connects without a question', async () => {
    await using host = await startHost({ sshd: { config: loginConfig } });
    const keys = await userKey(host); // the enrolment reloads sshd, which then reads it
    const report = await enrollAsJson(host);
    const served = await host.servedCertificate();
    expect(served?.certificate?.principals).toEqual(['localhost']);
    expect(served?.certificate?.serial.toString()).toBe(report.keys[0]?.serial);
    const login = await ssh(host, await writeKnownHosts(host), keys.options, ['echo', 'in']);
    expect(login.stdout, login.stderr).toBe('in');
  });

  test('makes sshd accept user certificates of the CA, unless told not to', async () => {
    await using host = await startHost({ sshd: { config: loginConfig } });
    const knownHosts = await writeKnownHosts(host);
    const { options } = await certifiedUserKey(host);
    await enrollAsJson(host, '--no-trust-users');
    const refused = await ssh(host, knownHosts, options, ['echo', 'in']);
    expect(refused.exitCode).toBe(255);
    const report = await enrollAsJson(host);
    expect(report.userTrust).toBe(join(host.sshd.etc, 'countersign_user_ca.pub'));
    const accepted = await ssh(host, knownHosts, options, ['echo', 'in']);
    expect(accepted.stdout, accepted.stderr).toBe('in');
    const without = await enrollAsJson(host, '--no-trust-users');
    expect(without.userTrust).toBeNull();
    await expect(readFile(join(host.sshd.etc, 'countersign_user_ca.pub'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('leaves a TrustedUserCAKeys of somebody else alone, and says so', async () => {
    await using host = await startHost({ sshd: { config: ['TrustedUserCAKeys /etc/ssh/other-ca.pub'] } });
    const report = await enrollAsJson(host);
    expect(report.userTrust).toBeNull();
    expect(report.remarks.join('\n')).toContain('/etc/ssh/other-ca.pub');
    const dropIn = await readFile(join(host.sshd.dropInDirectory, '50-countersign.conf'), 'utf8');
    expect(dropIn).not.toContain('TrustedUserCAKeys');
  });

  test('takes the Ed25519 key by default and every key with --all-keys; a later one keeps the earlier ones', async () => {
    await using host = await startHost({ sshd: { keys: ['rsa', 'ecdsa', 'ed25519'] } });
    const one = await enrollAsJson(host);
    expect(one.keys.map(({ path }) => path)).toEqual([join(host.sshd.etc, 'ssh_host_ed25519_key')]);
    const all = await enrollAsJson(host, '--all-keys');
    expect(all.keys.map(({ reused }) => reused)).toEqual([true, false, false]);
    await enrollAsJson(host);
    for (const key of host.sshd.hostKeys) {
      expect((await host.servedCertificate(key))?.certificate?.principals).toEqual(['localhost']);
    }
  });

  test('takes another key, and says so, where there is no Ed25519 one', async () => {
    await using host = await startHost({ sshd: { keys: ['rsa', 'ecdsa'] } });
    const report = await enrollAsJson(host);
    expect(report.keys.map(({ path }) => path)).toEqual([join(host.sshd.etc, 'ssh_host_ecdsa_key')]);
    expect(report.remarks.join('\n')).toContain('no Ed25519');
  });

  test('works with keys that a HostKeyAgent holds', async () => {
    await using host = await startHost({ sshd: { keys: ['ed25519', 'rsa', 'ecdsa'], hostKeyAgent: true } });
    await enrollAsJson(host, '--all-keys');
    for (const key of host.sshd.hostKeys) {
      expect((await host.servedCertificate(key))?.certificate?.principals).toEqual(['localhost']);
    }
  });

  test('puts a marked block into an sshd_config without Include, says so, and takes it out again', async () => {
    const odd = '# caf\u00e9 in Latin-1 is \\xe9';
    await using host = await startHost({
      sshd: { include: false, config: ['Match User nobody', '  X11Forwarding no'] },
    });
    const original = Buffer.concat([await readFile(host.sshd.configPath), Buffer.from(odd, 'latin1')]);
    await writeFile(host.sshd.configPath, original);
    const before = await readTree(host.sshd.etc);
    const report = await enrollAsJson(host);
    expect(report.remarks.join('\n')).toContain('no Include');
    expect((await host.servedCertificate())?.certificate?.principals).toEqual(['localhost']);
    await enrollAsJson(host, '--no-trust-users');
    const { status } = await host.host('remove');
    expect(status).toBe(0);
    expect(await readFile(host.sshd.configPath)).toEqual(original);
    expect(withoutTimeOf('sshd_config', await readTree(host.sshd.etc))).toEqual(withoutTimeOf('sshd_config', before));
    expect(await host.servedCertificate()).toBeUndefined();
  });

  test('makes the drop-in directory where only the Include line exists, and takes it away again', async () => {
    await using host = await startHost();
    await rm(host.sshd.dropInDirectory, { recursive: true });
    const before = await readTree(host.sshd.etc);
    await enrollAsJson(host);
    expect((await host.servedCertificate())?.certificate?.principals).toEqual(['localhost']);
    expect((await host.host('remove')).status).toBe(0);
    expect(await readTree(host.sshd.etc)).toEqual(before);
  });

  test('changes nothing, not even a process, when it is repeated', async () => {
    await using host = await startHost();
    await enrollAsJson(host);
    const [tree, log] = [await readTree(host.sshd.etc), reloads(host)];
    const again = await enrollAsJson(host);
    expect(again.changed).toBe(false);
    expect(again.keys.map(({ reused }) => reused)).toEqual([true]);
    expect(await readTree(host.sshd.etc)).toEqual(tree);
    expect(reloads(host)).toBe(log);
  });

  test('tells the CA what it installed, once; a report that fails is a remark, and made good later', async () => {
    await using host = await startHost();
    const reports = () => host.ca.requests.filter((request) => request === 'POST /ssh/status').length;
    host.ca.behaviour.refuseReports = { status: 500, code: 'internal', message: 'not today' };
    const first = await enrollAsJson(host);
    expect(first.remarks.at(-1)).toContain('not today');
    expect((await host.servedCertificate())?.certificate?.principals).toEqual(['localhost']);
    delete host.ca.behaviour.refuseReports;
    expect((await enrollAsJson(host)).remarks.join()).not.toContain('not today');
    expect(reports()).toBe(2);
    const { stdout } = await host.host('status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ keys: [{ renewal: { reportedAt: expect.any(String) as string } }] });
    await enrollAsJson(host);
    expect(reports()).toBe(2);
  });

  test('asks the CA anew when the names have changed', async () => {
    await using host = await startHost();
    await enrollAsJson(host);
    const report = await enrollAsJson(host, '--name', 'web1.example.internal');
    expect(report.keys[0]).toMatchObject({ reused: false, principals: ['localhost', 'web1.example.internal'] });
    expect((await host.servedCertificate())?.certificate?.principals).toContain('web1.example.internal');
  });

  test('shows what it would do with --dry-run, and does nothing', async () => {
    await using host = await startHost();
    const [before, asked] = [await readTree(host.sshd.etc), host.ca.requests.length];
    const { status, stdout } = await host.enroll('--dry-run', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      names: ['localhost'],
      addresses: ['127.0.0.1'],
      port: host.sshd.port,
      keys: [{ fingerprint: fingerprintOf(firstKey(host.sshd).blob), holder: 'file' }],
    });
    expect(host.ca.requests.length).toBe(asked);
    expect(await readTree(host.sshd.etc)).toEqual(before);
  });

  test('replaces a certificate of another CA only with --replace, and brings it back at the end', async () => {
    await using host = await startHost();
    const path = join(host.sshd.etc, 'elsewhere-cert.pub');
    await foreignCertificate(host, path);
    await writeFile(host.sshd.configPath, `${await readFile(host.sshd.configPath, 'utf8')}HostCertificate ${path}\n`);
    const foreign = await readFile(path);
    const refused = await host.enroll();
    expect(refused).toMatchObject({ status: 1, code: 'foreign-certificate' });
    const report = await enrollAsJson(host, '--replace');
    expect((await readCertificateFile(path))?.serial.toString()).toBe(report.keys[0]?.serial);
    expect((await host.servedCertificate())?.certificate?.serial.toString()).toBe(report.keys[0]?.serial);
    expect((await host.host('remove')).status).toBe(0);
    expect(await readFile(path)).toEqual(foreign);
  });

  test('finds the reloading of one sshd among several on the same port', async () => {
    await using first = await startHost();
    await using second = await startHost({ sshd: { addresses: ['127.0.0.9'], port: first.sshd.port } });
    await enrollAsJson(first);
    await enrollAsJson(second);
    expect([reloads(first), reloads(second)]).toEqual([1, 1]);
  });
});

describe('later commands', () => {
  test('work on the sshd of the enrolment, and on no other', async () => {
    await using host = await startHost();
    await using other = await startHost();
    await enrollAsJson(host);
    const state = ['--state-dir', host.stateDirectory];
    expect((await runAgent(['host', 'status', ...state])).status).toBe(0);
    const mixed = await runAgent(['host', 'enroll', '--sshd-config', other.sshd.configPath, ...state]);
    expect(mixed).toMatchObject({ status: 1, code: 'other-sshd' });
    const removed = await runAgent(['host', 'remove', '--sshd-config', other.sshd.configPath, ...state]);
    expect(removed).toMatchObject({ status: 1, code: 'other-sshd' });
    expect((await runAgent(['host', 'remove', ...state])).status).toBe(0);
    expect(await host.servedCertificate()).toBeUndefined();
    expect([reloads(host), reloads(other)]).toEqual([2, 0]);
  });
});

describe('status', () => {
  test('tells whether the certificate is there and served, with the exit status too', async () => {
    await using host = await startHost();
    expect(await host.host('status')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('Not enrolled') as string,
    });
    await enrollAsJson(host);
    const good = await host.host('status', '--json');
    expect(good.status).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({
      enrolled: true,
      inOrder: true,
      keys: [{ served: 'served', fault: null }],
    });
    await rm(join(host.sshd.etc, 'ssh_host_ed25519_key-cert.pub'));
    const bad = await host.host('status', '--json');
    expect(bad.status).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ inOrder: false, keys: [{ fault: 'certificate-missing' }] });
  });
});

describe('remove', () => {
  test('leaves the machine byte for byte as it was', async () => {
    await using host = await startHost({ sshd: { keys: ['ed25519', 'rsa'] } });
    const before = await readTree(host.sshd.etc);
    await enrollAsJson(host, '--all-keys');
    expect(await readTree(host.sshd.etc)).not.toEqual(before);
    const { status, stdout } = await host.host('remove', '--json');
    expect(status, stdout).toBe(0);
    expect(await readTree(host.sshd.etc)).toEqual(before);
    expect(await readTree(host.stateDirectory)).toHaveLength(2); // itself and authority.json
    expect(await host.servedCertificate()).toBeUndefined();
    expect(await host.servedKey()).toBe(fingerprintOf(firstKey(host.sshd).blob));
  });

  test('stops before files that somebody changed, and discards the changes with --force', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    await enrollAsJson(host);
    const dropIn = join(host.sshd.dropInDirectory, '50-countersign.conf');
    await writeFile(dropIn, `${await readFile(dropIn, 'utf8')}MaxAuthTries 3\n`);
    expect(await host.host('remove')).toMatchObject({ status: 1, code: 'files-changed' });
    expect(await readFile(dropIn, 'utf8')).toContain('MaxAuthTries 3');
    expect((await host.host('remove', '--force')).status).toBe(0);
    expect(await readTree(host.sshd.etc)).toEqual(before);
  });

  test('works without a running sshd, and with nothing installed', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    await enrollAsJson(host);
    await host.sshd.stop();
    expect((await host.host('remove')).status).toBe(0);
    expect(await readTree(host.sshd.etc)).toEqual(before);
    expect(await host.host('remove')).toMatchObject({ status: 0, stdout: 'Nothing is installed.' });
  });
});

/** How often sshd has read its configuration again. */
function reloads({ sshd }: TestHost): number {
  return sshd.log().split('Received SIGHUP').length - 1;
}

function withoutTimeOf(name: string, tree: readonly string[]): string[] {
  return tree.map((line) => (line.startsWith(`${name}: `) ? line.replace(/ [\d.]+ (?=[0-9a-f]{64}$)/, ' ') : line));
}

/** A key that sshd lets in by its authorized_keys. */
async function userKey({ sshd, scratch }: TestHost): Promise<{ options: string[] }> {
  const path = join(scratch, 'id');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  await mkdir(join(scratch, 'keys'));
  await writeFile(join(scratch, 'keys/authorized'), await readFile(`${path}.pub`));
  await writeFile(join(sshd.dropInDirectory, '10-test.conf'), `AuthorizedKeysFile ${scratch}/keys/authorized\n`);
  return { options: [`IdentityFile=${path}`, 'IdentitiesOnly=yes'] };
}

/** A key with a certificate of the user CA. */
async function certifiedUserKey({ ca, scratch }: TestHost): Promise<{ options: string[] }> {
  const [path, caPath] = [join(scratch, 'id'), join(scratch, 'user-ca')];
  await writeFile(caPath, encodePrivateKey(ca.userCa, { random: { checkInt: 1 } }), { mode: 0o600 });
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  const { username } = userInfo();
  await execa('ssh-keygen', ['-q', '-s', caPath, '-I', 'test', '-n', username, '-V', '+1h', `${path}.pub`]);
  return { options: [`IdentityFile=${path}`, 'IdentitiesOnly=yes'] };
}

/** A host certificate by a CA that nobody here knows. */
async function foreignCertificate({ sshd, scratch }: TestHost, path: string): Promise<void> {
  const caPath = join(scratch, 'foreign-ca');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', caPath]);
  const copy = join(scratch, 'foreign.pub');
  await writeFile(copy, await readFile(`${firstKey(sshd).path}.pub`));
  await execa('ssh-keygen', ['-q', '-s', caPath, '-h', '-I', 'foreign', '-n', 'localhost', '-V', '+1h', copy]);
  await writeFile(path, await readFile(join(scratch, 'foreign-cert.pub')));
}
