/** The file of a backup. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HsmError } from '#ca-lite/yubihsm/errors.ts';
import { formatHsmBackup, type HsmBackup, parseHsmBackup } from '#ca-lite/yubihsm/setup/hsm-backup.ts';
import { publicKeyIn } from '#ca-lite/yubihsm/setup/restore.ts';

const wrapped = new Uint8Array(200).fill(9);
const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea countersign userCa';
const backup: HsmBackup = {
  madeAt: '2026-11-22T14:00:00.000Z',
  serial: 12_345_678,
  plan: { way: 'plain', kind: 'ed25519' },
  keys: [
    { name: 'userCa', publicKey: line, wrapped },
    { name: 'hostCa', publicKey: line, wrapped },
  ],
  templates: [],
};
const templateBackup: HsmBackup = {
  ...backup,
  plan: {
    way: 'template',
    kind: 'rsa4096',
    notBeforeOffsetSeconds: 10,
    userNotAfterSeconds: 3600,
    hostNotAfterSeconds: 7200,
    forbiddenUserPrincipals: ['root'],
    timestampKey: 'device',
  },
  templates: [{ name: 'userTemplate', bytes: new Uint8Array([1, 2, 3]) }],
};

test.each([backup, templateBackup])('a backup is read as it was written', (value) => {
  expect(parseHsmBackup(formatHsmBackup(value))).toEqual(value);
});

test.each([
  ['no JSON', () => '{'],
  ['too long', () => ' '.repeat(300_000)],
  ['an unknown key', (text: string) => text.replace('"serial"', '"other": 1, "serial"')],
  ['another format', (text: string) => text.replace('backup-1', 'backup-2')],
  ['no base64', (text: string) => text.replace(/"wrapped": "CQ/, '"wrapped": "*Q')],
  ['a key that is cut short', (text: string) => text.replace(/"wrapped": "[^"]+"/, '"wrapped": "AAAA"')],
  ['a plan that cannot be', (text: string) => text.replace('"ed25519"', '"dsa"')],
])('%s is refused', (_, change) => {
  const text = change(formatHsmBackup(backup));
  expect(() => parseHsmBackup(text)).toThrow(expect.objectContaining({ code: 'bad-input' }));
});

test('any JSON: a backup or a typed error', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(() => parseHsmBackup(text)).toThrow(HsmError);
    }),
  );
});

test('the public key of a backup is read, or the backup refused', () => {
  expect(publicKeyIn(backup, 'userCa')).toMatchObject({ type: 'ssh-ed25519' });
  expect(() => publicKeyIn(backup, 'timestamp')).toThrow(expect.objectContaining({ code: 'bad-input' }));
  const malformed = { ...backup, keys: [{ name: 'userCa' as const, publicKey: 'ssh-ed25519 AAAA', wrapped }] };
  expect(() => publicKeyIn(malformed, 'userCa')).toThrow(expect.objectContaining({ code: 'bad-input' }));
});
