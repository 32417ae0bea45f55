/** Where a CA key is, as the record of CA keys names it. */
import { describe, expect, test } from 'vitest';
import { type KeyPlace, formatKeyPlace, parseKeyPlace } from '#ca-lite/rotation/key-place.ts';

const places: readonly (readonly [string, KeyPlace])[] = [
  ['ssh_host_ca', { kind: 'file', secret: 'ssh_host_ca' }],
  ['ssh_user_ca_1700000000000', { kind: 'file', secret: 'ssh_user_ca_1700000000000' }],
  ['yubihsm:260', { kind: 'yubihsm', key: 260 }],
  ['yubihsm:260:513', { kind: 'yubihsm', key: 260, template: 513 }],
  ['pkcs11::next: key', { kind: 'pkcs11', label: 'next: key' }],
  ['pkcs11:0a01:', { kind: 'pkcs11', id: '0a01' }],
  ['pkcs11:0a01:label', { kind: 'pkcs11', id: '0a01', label: 'label' }],
];

describe('the place of a CA key', () => {
  test.each(places)('%s', (text, place) => {
    expect(formatKeyPlace(place)).toBe(text);
    expect(parseKeyPlace(text)).toEqual(place);
  });

  test.each([
    '',
    'root',
    '../ssh_host_ca',
    'ssh_host_ca_',
    'yubihsm:',
    'yubihsm:1:',
    'yubihsm:x',
    'pkcs11:',
    'pkcs11::',
    'pkcs11:0:',
  ])('refuses %j', (text) => {
    expect(parseKeyPlace(text)).toBeUndefined();
  });
});
