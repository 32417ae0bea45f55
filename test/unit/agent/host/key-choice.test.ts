import { describe, expect, test } from 'vitest';
import { chooseKeys } from '#agent/host/key-choice.ts';
import { type SshdSettings, parseSshdSettings } from '#agent/host/sshd-settings.ts';
import { sampleHostKey } from './host-key-sample.ts';

const everything =
  'ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519';
const settings = (algorithms: string): SshdSettings => parseSshdSettings(`hostkeyalgorithms ${algorithms}\n`);
const keys = [sampleHostKey('rsa'), sampleHostKey('ecdsa'), sampleHostKey('ed25519')];
const names = (choice: { keys: readonly { path: string }[] }) => choice.keys.map(({ path }) => path.split('_')[2]);

describe('chooseKeys', () => {
  test('takes the Ed25519 key, or all of them, the best first', () => {
    expect(names(chooseKeys({ keys, unusable: [] }, settings(everything), false))).toEqual(['ed25519']);
    expect(names(chooseKeys({ keys, unusable: [] }, settings(everything), true))).toEqual(['ed25519', 'ecdsa', 'rsa']);
  });

  test('leaves out what sshd may not show a certificate for, and says so', () => {
    const choice = chooseKeys({ keys, unusable: [] }, settings('ssh-ed25519-cert-v01@openssh.com,ssh-rsa'), true);
    expect(names(choice)).toEqual(['ed25519']);
    expect(choice.remarks).toHaveLength(2);
  });

  test('says which keys could not be read when all are asked for', () => {
    const unusable = [{ path: '/etc/ssh/gone', reason: 'no such file or directory' }];
    expect(chooseKeys({ keys, unusable }, settings(everything), true).remarks).toEqual([
      '/etc/ssh/gone is left out: no such file or directory',
    ]);
    expect(chooseKeys({ keys, unusable }, settings(everything), false).remarks).toEqual([]);
  });

  test('refuses an sshd without keys, and one that shows no certificates', () => {
    expect(() => chooseKeys({ keys: [], unusable: [] }, settings(everything), false)).toThrow(
      expect.objectContaining({ code: 'no-host-key' }),
    );
    expect(() => chooseKeys({ keys, unusable: [] }, settings('ssh-ed25519,rsa-sha2-512'), false)).toThrow(
      expect.objectContaining({ code: 'certificates-disabled' }),
    );
  });
});
