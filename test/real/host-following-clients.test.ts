/** `countersign ssh-config`, and a real ssh: which hosts it believes as the CA changes its mind, and its keys. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parseKnownHosts } from '#openssh/known-hosts.ts';
import { makeDirectory } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type RenewalHost, startRenewalHost } from './host-renewal-fixture.ts';

const POLLS = 60;

/** Whether ssh, told of nothing else, believes the host under its name; what it says when not. */
async function believes({ sshd, name, identity }: RenewalHost, config: string): Promise<string | true> {
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `HostKeyAlias=${name}`,
    'UserKnownHostsFile=/dev/null',
  ];
  const given = [...options, 'IdentityAgent=none'].flatMap((option) => ['-o', option]);
  const target = ['-p', String(sshd.port), sshd.address, 'true'];
  const run = await execa('ssh', ['-F', config, ...given, '-i', identity, ...target], {
    reject: false,
    stdin: 'ignore',
  });
  return run.exitCode === 0 ? true : run.stderr;
}

async function caLines(directory: string): Promise<number> {
  const lines = parseKnownHosts(await readFile(join(directory, 'countersign/known_hosts')));
  return lines.filter(({ entry }) => entry?.marker === 'cert-authority').length;
}

test('ssh believes the host by its certificate, follows the CA keys, and stops when the host is revoked', async () => {
  await using host = await startRenewalHost();
  using directory = makeDirectory();
  const { ca } = host.ca;
  const config = join(directory.path, 'config');
  const own = ['--ssh-dir', directory.path];
  const places = [...own, '--state-dir', host.stateDirectory];
  const run = async (...args: string[]) => {
    const result = await runAgent(['ssh-config', ...args]);
    expect(result.status, result.stderr).toBe(0);
    return result.stdout;
  };
  expect(await runAgent(['ssh-config', 'refresh', ...places])).toMatchObject({ status: 1, code: 'not-installed' });
  await run('install', ...places, '--hosts', '*.lab.example', '--socket', join(directory.path, 'agent.sock'));
  expect(await believes(host, config)).toBe(true);
  expect(await run('refresh', ...places)).toBe('Nothing to change.');

  await ca.run('rotate', 'start', '--type', 'host', '--passphrase-file', ca.passphraseFile);
  for (let poll = 0; poll < POLLS && (await caLines(directory.path)) < 2; poll += 1) {
    await run('refresh', ...places);
    await sleep(200);
  }
  expect(await caLines(directory.path)).toBe(2);
  expect(await readFile(join(directory.path, 'countersign/known_hosts'), 'utf8')).toMatch(
    /^@cert-authority \*\.lab\.example /,
  );

  await ca.run('revoke', '--host', host.name);
  await run('refresh', ...places);
  expect(await believes(host, config)).toContain('revoked');
  await run('remove', ...own);
  expect(await readdir(directory.path)).toEqual([]);
});

test('a client that cannot use certificates knows the keys of hosts that proved theirs, and of no others', async () => {
  await using host = await startRenewalHost();
  using directory = makeDirectory();
  const { name, sshd } = host;
  const places = ['--ssh-dir', directory.path, '--state-dir', host.stateDirectory];
  const known = async (alias: string) =>
    runAgent(['ssh-config', 'known-hosts', alias, '--address', sshd.address, '--port', String(sshd.port), ...places]);
  const { status, stdout, stderr } = await known(name);
  expect(status, stderr).toBe(0);
  const lines = parseKnownHosts(Buffer.from(stdout));
  expect(lines.map(({ entry }) => entry?.hosts)).toEqual(lines.map(() => `[${name}]:${sshd.port}`));
  expect(lines.length).toBeGreaterThan(0);

  // ssh without any CA believes the host by this line, and by nothing else.
  const file = join(directory.path, 'plain');
  await writeFile(file, stdout);
  const plain = ['HostKeyAlgorithms=ssh-ed25519', `UserKnownHostsFile=${file}`, 'GlobalKnownHostsFile=/dev/null'];
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'IdentityAgent=none',
    `HostKeyAlias=[${name}]:${sshd.port}`,
  ];
  const argv = [...plain, ...options].flatMap((option) => ['-o', option]);
  const target = ['-i', host.identity, '-p', String(sshd.port), sshd.address, 'true'];
  const run = await execa('ssh', ['-F', 'none', ...argv, ...target], { reject: false, stdin: 'ignore' });
  expect(run.exitCode, run.stderr).toBe(0);

  expect(await known('other.lab.example')).toMatchObject({ status: 1, code: 'host-unproven', stdout: '' });
  await host.ca.ca.run('revoke', '--host', name);
  expect(await known(name)).toMatchObject({ status: 1, code: 'host-unproven', stdout: '' });
});
