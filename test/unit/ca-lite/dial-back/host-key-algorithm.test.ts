import { describe, expect, test } from 'vitest';
import {
  type HostKeyAlgorithm,
  algorithmsLeft,
  algorithmsToTry,
  isProvable,
  keyTypeOfAlgorithm,
} from '#ca-lite/dial-back/host-key-algorithm.ts';
import { type KeyType, keyTypes } from '#openssh/key-type.ts';

const hints: (KeyType | undefined)[] = [undefined, ...(Object.keys(keyTypes) as KeyType[])];

describe('the algorithms of a dial-back', () => {
  test.each(hints)('are all there with the hint %s, and without SHA-1 and certificates', (hint) => {
    expect(algorithmsToTry(hint).toSorted()).toEqual([
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'rsa-sha2-256',
      'rsa-sha2-512',
      'ssh-ed25519',
    ]);
  });

  test.each(hints.filter((hint): hint is KeyType => hint !== undefined && isProvable(hint)))(
    'begin with %s for the hint',
    (hint) => {
      expect(keyTypeOfAlgorithm(algorithmsToTry(hint)[0] ?? expect.unreachable())).toBe(hint);
    },
  );

  test('ask for SHA-512 before SHA-256', () => {
    const rsa = algorithmsToTry('ssh-rsa').slice(0, 2);
    expect(rsa).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
  });

  test('lose both RSA algorithms with the RSA key, and whatever the server does not have', () => {
    const all = algorithmsToTry(undefined);
    expect(algorithmsLeft(all, 'ssh-rsa', undefined)).not.toContain('rsa-sha2-256');
    const offered = ['ssh-ed25519-cert-v01@openssh.com', 'rsa-sha2-512', 'ssh-ed25519', 'ssh-rsa'];
    expect(algorithmsLeft(all, 'ssh-rsa', offered)).toEqual(['ssh-ed25519']);
    expect(algorithmsLeft(['ssh-ed25519'], 'ssh-ed25519', offered)).toEqual([]);
  });

  test('run out after one connection for each key type, whatever a server shows and says', () => {
    let left: readonly HostKeyAlgorithm[] = algorithmsToTry(undefined);
    let connections = 0;
    for (; left.length > 0; connections++)
      left = algorithmsLeft(left, keyTypeOfAlgorithm(left[0] ?? expect.unreachable()), undefined);
    expect(connections).toBe(5);
  });
});
