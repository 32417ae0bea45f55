/**
 * A host follows its CA: what is revoked there is refused by a real sshd, and by a real ssh that has the same list; whatever comes in
 * place of what the CA says, sshd goes on with what it has.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { decodeKrl } from '#openssh/krl.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { SSHD } from '#test/support/sshd.ts';
import { authorizeKey, certifyUser, letsIn, startFollowingHost } from './host-following-fixture.ts';
import type { RenewalHost } from './host-renewal-fixture.ts';

const krlPath = ({ sshd }: RenewalHost) => join(sshd.etc, 'countersign_revoked_keys');

async function renew(
  host: RenewalHost,
): Promise<{ did: string[]; krlNumber: string | null; failure: { code: string } | null }> {
  const { status, stdout, stderr } = await host.host('renew', '--json');
  expect(status, stderr).toBe(0);
  return (JSON.parse(stdout) as { following: Awaited<ReturnType<typeof renew>> }).following;
}

async function sshdSetting({ sshd }: RenewalHost, keyword: string): Promise<string | undefined> {
  const { stdout } = await execa(SSHD, ['-T', '-f', sshd.configPath]);
  return new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1];
}

test('what is revoked is refused by sshd, after one look, and nothing else is', { timeout: 300_000 }, async () => {
  await using host = await startFollowingHost();
  const { ca } = host.ca;
  expect(await sshdSetting(host, 'revokedkeys')).toBe(krlPath(host));
  const [revoked, good] = [await certifyUser(host, 'revoked'), await certifyUser(host, 'good')];
  const plain = await authorizeKey(host, 'plain');
  for (const identity of [revoked.identity, good.identity, plain]) expect(await letsIn(host, identity)).toBe(true);

  await ca.run('revoke', '--serial', String(revoked.certificate.serial), '--reason', 'lost');
  expect(await renew(host)).toMatchObject({ did: ['krl'], krlNumber: '1', failure: null });
  expect(await letsIn(host, revoked.identity)).toBe(false);
  expect(await letsIn(host, good.identity)).toBe(true);

  await ca.run('revoke', '--key', `${plain}.pub`);
  expect(await renew(host)).toMatchObject({ did: ['krl'], krlNumber: '2' });
  expect(await letsIn(host, plain)).toBe(false);
  expect(await letsIn(host, host.identity)).toBe(true);
  expect(await renew(host)).toMatchObject({ did: [], krlNumber: '2' });

  // Each entry, by the words of OpenSSH
  const asked = async (path: string) =>
    (await execa('ssh-keygen', ['-Q', '-f', krlPath(host), path], { reject: false })).exitCode;
  expect(await asked(`${revoked.identity}-cert.pub`)).not.toBe(0);
  expect(await asked(`${plain}.pub`)).not.toBe(0);
  expect(await asked(`${good.identity}-cert.pub`)).toBe(0);
  expect((await host.inventory()).report).toMatchObject({ krlNumber: '2' });
  expect((await stat(krlPath(host))).mode & 0o777).toBe(0o644);
  expect(decodeKrl(await readFile(krlPath(host))).number).toBe(2n);
});

test('a daemon that reports hears of a revocation at once, and takes it over', { timeout: 300_000 }, async () => {
  const certificates = { host_lifetime: '8s', backdate: '1s' };
  await using host = await startFollowingHost({ settings: { certificates, renewal: { allow_after_expiry: true } } });
  const user = await certifyUser(host, 'user');
  await using daemon = startProcess([...agentProgram(), 'host', 'run', '--json', ...host.places]);
  await daemon.until((one) => one.stdout().includes('"reported"'));
  expect(await letsIn(host, user.identity)).toBe(true);
  await host.ca.ca.run('revoke', '--serial', String(user.certificate.serial));
  // It asks every ten minutes; each report after a renewal, some seconds apart here, is answered with the number of the KRL.
  await daemon.until((one) => one.stdout().includes('"followed-krl"'), 100);
  expect(await letsIn(host, user.identity)).toBe(false);
  expect(await letsIn(host, host.identity)).toBe(true);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
