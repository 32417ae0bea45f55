/** host.toml: what it says is what is done, and every fault in it is named. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HostConfigError, hostConfigKeys, parseHostConfig, readHostConfig } from '#agent/host/host-config.ts';
import { defaultPolicy } from '#agent/host/host-policy.ts';

const everything = `
schedule = "*/5 * * * *"
jitter = "90s"
report-every = "1h30m"
follow-every = "5m"
names = ["web1.example.internal", "www.example.internal"]
addresses = ["192.0.2.7"]
port = 2222
all-keys = true
trust-users = false
reload = "systemctl reload ssh"
sshd = "/opt/ssh/sbin/sshd"
sshd-config = "/opt/ssh/etc/sshd_config"
state-dir = "/srv/countersign"
`;

function faultsOf(text: string): string[] {
  try {
    parseHostConfig(text, 'host.toml');
  } catch (error) {
    if (error instanceof HostConfigError) return error.advice?.split('\n') ?? [];
    throw error;
  }
  return [];
}

test('every key is read', () => {
  expect(hostConfigKeys.filter((key) => !new RegExp(`^${key} =`, 'm').test(everything))).toEqual([]);
  expect(parseHostConfig(everything, 'host.toml')).toEqual({
    options: {
      name: ['web1.example.internal', 'www.example.internal'],
      ip: ['192.0.2.7'],
      port: 2222,
      allKeys: true,
      trustUsers: false,
      reload: 'systemctl reload ssh',
      sshd: '/opt/ssh/sbin/sshd',
      sshdConfig: '/opt/ssh/etc/sshd_config',
      stateDir: '/srv/countersign',
    },
    policy: { schedule: '*/5 * * * *', jitterSeconds: 90, reportEverySeconds: 5400, followEverySeconds: 300 },
  });
});

test('an empty file changes nothing', () => {
  expect(parseHostConfig('', 'host.toml')).toEqual({ options: {}, policy: defaultPolicy });
});

test('all faults are named together, each with its key', () => {
  const faults = faultsOf('schedule = "at noon"\njitter = "2 min"\nreport-every = "10s"\nport = 0\nnmaes = ["x"]\n');
  expect(faults).toHaveLength(5);
  for (const key of ['schedule', 'jitter', 'report-every', 'port', 'nmaes']) {
    expect(faults.filter((fault) => fault.startsWith(`${key}:`))).toHaveLength(1);
  }
});

test.each([
  'jitter = 90',
  'jitter = "90"',
  'jitter = "61m"',
  'follow-every = "59s"',
  'follow-every = "25h"',
  'report-every = "8d"',
  'names = []',
  'names = ["a","b","c","d","e","f","g","h","i"]',
  'port = 65536',
  'all-keys = "yes"',
  'state-dir = ""',
  '[renewal]',
])('is refused: %s', (text) => {
  expect(faultsOf(text)).toHaveLength(1);
});

test('what is no TOML is refused', () => {
  expect(() => parseHostConfig('schedule =', 'host.toml')).toThrow(HostConfigError);
});

test('a file that was named has to be there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-config-'));
  try {
    const path = join(directory, 'host.toml');
    await expect(readHostConfig(path)).rejects.toThrow(HostConfigError);
    await writeFile(path, 'jitter = "5m"\n');
    expect((await readHostConfig(path)).policy.jitterSeconds).toBe(300);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('docs/renewal.md has every key, and an example without faults', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../../docs/renewal.md'), 'utf8');
  const [, section = ''] = page.split('\n## Configuration\n');
  const rows = [...section.matchAll(/^\| `([a-z-]+)` /gm)].map(([, key]) => key);
  expect(new Set(rows)).toEqual(new Set(hostConfigKeys));
  const [, example = ''] = /```toml\n([^]+?)```/.exec(section) ?? [];
  expect(Object.keys(parseHostConfig(example, 'host.toml').options)).toEqual(['name', 'reload']);
});
