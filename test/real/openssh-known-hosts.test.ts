/** known_hosts between us and `ssh-keygen -F`, `-H`: whoever asks, the same lines match. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type KnownHostsLine,
  formatKnownHosts,
  isKnownAs,
  knownHostName,
  knownHostsLine,
  parseKnownHosts,
} from '#openssh/known-hosts.ts';
import { sampleCa, sampleKeys, sampleTypes } from '#test/unit/openssh/samples.ts';
import { Workshop } from './openssh-workshop.ts';

let workshop: Workshop;

beforeAll(async () => {
  workshop = await Workshop.open();
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

const patternLists = [
  ['web.example.com'],
  ['*.example.com'],
  ['*.example.com', '!db.example.com'],
  ['!web.example.com', '*'],
  ['web?.example.com', '192.0.2.*'],
  ['[web.example.com]:2222'],
  ['[*.example.com]:*'],
  ['2001:db8::1', '[2001:db8::1]:2222'],
  ['*'],
  ['*', '!*'],
  ['WEB.Example.Com'],
];
const names = [
  'web.example.com',
  'WEB.example.com',
  'db.example.com',
  'web1.example.com',
  'example.com',
  '192.0.2.77',
  '[web.example.com]:2222',
  '[db.example.com]:22',
  '2001:db8::1',
  '[2001:db8::1]:2222',
  'localhost',
];

/** Numbers of the lines, from 1, that ssh-keygen finds for a name. */
async function foundByKeygen(name: string): Promise<number[]> {
  const { stdout } = await workshop.try('ssh-keygen', ['-F', name, '-f', 'known_hosts']);
  return [...stdout.matchAll(/found: line (\d+)/g)].map(([, line]) => Number(line));
}

function foundByUs(lines: readonly KnownHostsLine[], name: string): number[] {
  return lines.flatMap(({ entry }, index) => (entry !== undefined && isKnownAs(entry, name) ? [index + 1] : []));
}

describe('plain names and patterns', () => {
  const lines = patternLists.flatMap((patterns) => [
    knownHostsLine({ patterns, key: sampleKeys['ssh-ed25519'].publicKey, comment: 'a comment' }),
    knownHostsLine({ marker: 'cert-authority', patterns, key: sampleCa.publicKey }),
    knownHostsLine({ marker: 'revoked', patterns, key: sampleKeys['ssh-rsa'].publicKey }),
  ]);

  test.each(names)('%s', async (name) => {
    await workshop.write('known_hosts', formatKnownHosts(lines));
    const found = await foundByKeygen(name);
    expect(foundByUs(lines, name)).toEqual(found);
    expect(foundByUs(lines, name).length % 3).toBe(0);
  });
});

test('names that ssh-keygen hashes', async () => {
  const hosts = ['web.example.com', '192.0.2.1', '[web.example.com]:2222'];
  const plain = hosts.map((host) => knownHostsLine({ patterns: [host], key: sampleKeys['ssh-ed25519'].publicKey }));
  await workshop.write('known_hosts', formatKnownHosts(plain));
  await workshop.keygen('-q', '-H', '-f', 'known_hosts');
  const file = await workshop.read('known_hosts');
  const lines = parseKnownHosts(file);
  expect(lines.map(({ entry }) => entry?.hosts.startsWith('|1|'))).toEqual([true, true, true]);
  for (const host of [...hosts, 'db.example.com']) expect(foundByUs(lines, host)).toEqual(await foundByKeygen(host));
  expect(formatKnownHosts(lines)).toEqual(file);
});

test('ssh-keygen -F prints our lines as they stand', async () => {
  for (const type of sampleTypes) {
    const line = knownHostsLine({ patterns: ['web.example.com'], key: sampleKeys[type].publicKey, comment: 'it is' });
    await workshop.write('known_hosts', line.raw);
    const [, printed] = (await workshop.keygen('-F', 'web.example.com', '-f', 'known_hosts')).split('\n');
    expect(`${printed ?? ''}\n`).toBe(Buffer.from(line.raw).toString());
  }
});

test('ssh itself looks under the names that we do', async () => {
  const look = async (host: string, port: number): Promise<string> => {
    const options = ['-G', '-p', `${port}`, host];
    const config = await workshop.run('ssh', ['-F', '/dev/null', ...options]);
    const value = (name: string): string => new RegExp(`^${name} (.*)$`, 'm').exec(config)?.[1] ?? '';
    return knownHostName(value('hostname'), Number(value('port')));
  };
  expect(await look('Web.Example.com', 22)).toBe('web.example.com');
  expect(await look('web.example.com', 2222)).toBe('[web.example.com]:2222');
});
