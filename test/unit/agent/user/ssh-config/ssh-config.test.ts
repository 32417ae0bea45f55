/** `countersign ssh-config`: what is written, byte for byte, and that taking it away leaves what was there. */
import { lstat, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SshConfigError } from '#agent/user/ssh-config/ssh-config-error.ts';
import { installSshConfig, removeSshConfig, sshConfigPlaces } from '#agent/user/ssh-config/ssh-config-files.ts';
import {
  formatInclude,
  formatKnownHostsFile,
  namesRevokedKeys,
  parseUserConfig,
  readChoices,
} from '#agent/user/ssh-config/ssh-config-text.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';

const keyLine = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';
const key = parsePublicKeyLine(keyLine).key;
const files = { include: 'IdentityAgent "/run/a.sock"\n', knownHosts: `@cert-authority * ${keyLine}\n` };
let directory: string;
let places: ReturnType<typeof sshConfigPlaces>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-ssh-config-'));
  places = sshConfigPlaces(directory);
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const block = (
  kind: string,
): string => `# countersign ssh-config: begin (countersign ssh-config remove takes this ${kind})
Include "${places.include}"
# countersign ssh-config: end
`;

const foreign: [string, Buffer][] = [
  ['an ordinary file', Buffer.from('Host web\n  User alice\n')],
  ['no line end at the end', Buffer.from('Host web\n  User alice')],
  ['line ends of Windows', Buffer.from('Host web\r\n\tUser alice\r\n')],
  ['bytes that are no UTF-8', Buffer.from([0x23, 0xff, 0xfe, 0x80, 0x0a])],
  ['an empty file', Buffer.alloc(0)],
];

describe('the texts', () => {
  it('name the agent and our known_hosts, and leave those of the user and the system', () => {
    expect(formatInclude({ agentSocket: '/run/user/1000/countersign/agent.sock', knownHosts: '/home/a b/known_hosts' }))
      .toBe(`# Written by: countersign ssh-config install. It is written anew each time.
IdentityAgent "/run/user/1000/countersign/agent.sock"
GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 "/home/a b/known_hosts"
`);
  });

  it('name the revocation list where there is one', () => {
    const paths = { agentSocket: '/s', knownHosts: '/k' };
    expect(formatInclude({ ...paths, revokedKeys: '/home/a b/revoked_keys' })).toContain(
      'RevokedHostKeys "/home/a b/revoked_keys"\n',
    );
    expect(formatInclude(paths)).not.toContain('RevokedHostKeys');
  });

  it.each([
    ['RevokedHostKeys /x\n', true],
    ['Host a\n  revokedhostkeys=/x\n', true],
    ['# RevokedHostKeys /x\n', false],
    ['Host RevokedHostKeys\n', false],
    ['', false],
  ])('find revoked host keys of the user in %j: %s', (config, found) => {
    expect(namesRevokedKeys(config)).toBe(found);
  });

  it('tell again what they were made for, and nothing when they are not ours', () => {
    const include = formatInclude({ agentSocket: '/run/ü/agent.sock', knownHosts: '/k' });
    const knownHosts = Buffer.from(formatKnownHostsFile([key], ['*.example.com', '10.1.2.3'], 'https://ca'), 'latin1');
    const choices = { agentSocket: '/run/ü/agent.sock', hosts: ['*.example.com', '10.1.2.3'] };
    expect(readChoices(include, knownHosts)).toEqual(choices);
    expect(readChoices('IdentityAgent none\n', knownHosts)).toBeUndefined();
    expect(readChoices(include, Buffer.from(`web ${keyLine}\n`))).toBeUndefined();
  });

  it('trust the CA for the hosts that are named', () => {
    expect(formatKnownHostsFile([key], ['*.Example.com', '10.1.2.3'], 'https://ca.example.com:8443')).toBe(
      `@cert-authority *.example.com,10.1.2.3 ${keyLine} countersign ca.example.com:8443\n`,
    );
  });

  it.each(['a b', 'x\ny', '', '|1|a', 'a,b #'])('refuse the host pattern %j', (pattern) => {
    expect(() => formatKnownHostsFile([key], [pattern], 'https://ca')).toThrow(SshConfigError);
  });

  it.each(['/a"b', '/a%h', '/${HOME}', '/a\nProxyCommand evil', '/a\\b'])('refuse the path %j', (path) => {
    expect(() => formatInclude({ agentSocket: path, knownHosts: '/k' })).toThrow(SshConfigError);
  });
});

describe('install and remove', () => {
  it.each(foreign)('go before %s and leave it as it was', async (_, content) => {
    await writeFile(places.config, content, { mode: 0o644 });
    await installSshConfig(places, files);
    expect(await readFile(places.config)).toEqual(Buffer.concat([Buffer.from(block('away')), content]));
    expect(await readFile(places.include, 'utf8')).toBe(files.include);
    expect(await readFile(places.knownHosts, 'utf8')).toBe(files.knownHosts);
    expect((await stat(places.config)).mode & 0o777).toBe(0o644);
    expect(await removeSshConfig(places)).toEqual([places.config, places.include, places.knownHosts]);
    expect(await readFile(places.config)).toEqual(content);
    await expect(stat(places.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('put a revocation list there before ssh is told of it, and take it away after', async () => {
    const revokedKeys = Buffer.from([0x53, 0xff, 0x00, 0x0a]);
    expect(await installSshConfig(places, { ...files, revokedKeys })).toEqual([
      places.revokedKeys,
      places.knownHosts,
      places.include,
      places.config,
    ]);
    expect(await readFile(places.revokedKeys)).toEqual(revokedKeys);
    expect(await installSshConfig(places, { ...files, revokedKeys })).toEqual([]);
    expect(await installSshConfig(places, files)).toEqual([places.revokedKeys]);
    await installSshConfig(places, { ...files, revokedKeys });
    expect((await removeSshConfig(places)).at(-1)).toBe(places.revokedKeys);
    await expect(stat(places.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('make a config that is not there, private, and delete it again', async () => {
    await installSshConfig(places, files);
    expect(await readFile(places.config, 'utf8')).toBe(block('file away'));
    expect((await stat(places.config)).mode & 0o777).toBe(0o600);
    await removeSshConfig(places);
    await expect(stat(places.config)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keep what was added to a config of ours', async () => {
    await installSshConfig(places, files);
    await writeFile(places.config, `${await readFile(places.config, 'utf8')}Host web\n`);
    await removeSshConfig(places);
    expect(await readFile(places.config, 'utf8')).toBe('Host web\n');
  });

  it('change nothing the second time, and only what is new the third', async () => {
    await writeFile(places.config, 'Host web\n');
    expect(await installSshConfig(places, files)).toHaveLength(3);
    expect(await installSshConfig(places, files)).toEqual([]);
    expect(await installSshConfig(places, { ...files, include: '# new\n' })).toEqual([places.include]);
    await removeSshConfig(places);
    expect(await removeSshConfig(places)).toEqual([]);
    expect(await readFile(places.config, 'utf8')).toBe('Host web\n');
  });

  it('write through a link', async () => {
    await mkdir(join(directory, 'dotfiles'));
    const target = join(directory, 'dotfiles/config');
    await writeFile(target, 'Host web\n');
    await symlink(target, places.config);
    await installSshConfig(places, files);
    expect((await lstat(places.config)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, 'utf8')).toBe(`${block('away')}Host web\n`);
  });

  it('leave foreign files in our directory', async () => {
    await installSshConfig(places, files);
    await writeFile(join(places.directory, 'notes'), 'mine');
    await removeSshConfig(places);
    expect(await readFile(join(places.directory, 'notes'), 'utf8')).toBe('mine');
  });

  it.each([
    ['without an end', (text: string) => text.replace(/# countersign ssh-config: end\n/, '')],
    ['without a beginning', (text: string) => text.replace(/^.*begin.*\n/, '')],
    ['twice', (text: string) => text + text],
  ])('refuse a block %s, and touch nothing', async (_, damage) => {
    await installSshConfig(places, files);
    const damaged = damage(await readFile(places.config, 'utf8'));
    await writeFile(places.config, damaged);
    await expect(installSshConfig(places, files)).rejects.toMatchObject({ code: 'block-damaged' });
    await expect(removeSshConfig(places)).rejects.toMatchObject({ code: 'block-damaged' });
    expect(await readFile(places.config, 'utf8')).toBe(damaged);
    expect(await readFile(places.include, 'utf8')).toBe(files.include);
  });
});

it('a config without our block is all foreign', () => {
  expect(parseUserConfig('Host web\n')).toEqual({ rest: 'Host web\n', isOurs: false, hasBlock: false });
});
