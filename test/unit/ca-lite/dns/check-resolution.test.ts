import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IpAddress, parseAddress } from '#ca-lite/address/address.ts';
import { answerOf, codeOfDnsError } from '#ca-lite/dns/answer.ts';
import { checkResolution } from '#ca-lite/dns/check-resolution.ts';
import { type HostName, parseHostName } from '#ca-lite/dns/host-name.ts';
import type { Resolved } from '#ca-lite/dns/resolver.ts';

const name = (text: string): HostName => parseHostName(text) ?? expect.unreachable();
const db1 = name('db1.example');

function resolved(texts: readonly string[]): Resolved {
  const answer = answerOf([db1], texts, { maxAddresses: 100 });
  return answer.resolved ? answer : expect.unreachable();
}

const parseAll = (texts: readonly string[]): IpAddress[] => texts.map(parseAddress);

describe('checkResolution', () => {
  test.each([
    [['10.0.0.1'], ['10.0.0.1']],
    [
      ['10.0.0.1', 'fd00::1'],
      ['fd00::1', '10.0.0.1'],
    ],
    [['10.0.0.1', '10.0.0.1'], ['10.0.0.1']],
    [['10.0.0.1'], ['10.0.0.1', '::ffff:10.0.0.1']],
    [['FD00:0::1'], ['fd00::1']],
  ])('%j in DNS and %j claimed agree', (inDns, claimed) => {
    expect(checkResolution(resolved(inDns), parseAll(claimed))).toEqual({ agrees: true });
  });

  test.each([
    [['10.0.0.1'], ['10.0.0.2'], 'address-not-in-dns', '10.0.0.2'],
    [['10.0.0.1'], ['10.0.0.1', '10.0.0.2'], 'address-not-in-dns', '10.0.0.2'],
    [['10.0.0.1', '10.0.0.2'], ['10.0.0.1'], 'address-not-claimed', '10.0.0.2'],
    [['10.0.0.1', 'fd00::1'], ['10.0.0.1'], 'address-not-claimed', 'fd00::1'],
    [['10.0.0.1'], [], 'address-not-claimed', '10.0.0.1'],
  ])('%j in DNS and %j claimed do not', (inDns, claimed, code, address) => {
    const verdict = checkResolution(resolved(inDns), parseAll(claimed));
    expect(verdict).toEqual({ agrees: false, code, address: parseAddress(address) });
  });

  test('agrees exactly when the two sets are the same', () => {
    const some = fc.array(fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2'), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(some, some, (inDns, claimed) => {
        const same =
          new Set([...inDns, ...claimed]).size === new Set(inDns).size && new Set(inDns).size === new Set(claimed).size;
        expect(checkResolution(resolved(inDns), parseAll(claimed)).agrees).toBe(same);
      }),
    );
  });
});

describe('answerOf', () => {
  test.each([
    ['no-addresses', []],
    ['dns-bad-answer', ['fe80::1%eth0']],
    ['too-many-addresses', ['10.0.0.1', '10.0.0.2', '10.0.0.3']],
    ['too-many-addresses', Array.from({ length: 1000 }, () => '10.0.0.1')],
  ])('%s', (code, texts) => {
    expect(answerOf([db1], texts, { maxAddresses: 2 })).toEqual({ resolved: false, name: db1, code });
  });

  test('cannot be changed between the check and the connection', () => {
    const answer = resolved(['10.0.0.1']);
    expect(() => (answer.addresses as IpAddress[]).push(parseAddress('10.0.0.2'))).toThrow(TypeError);
    expect(Object.isFrozen(answer)).toBe(true);
  });

  test('keeps the order and drops duplicates, however they are written', () => {
    const texts = ['fd00::2', '10.0.0.1', 'fd00:0:0::2', '::ffff:10.0.0.1'];
    expect(resolved(texts).addresses.map(({ text }) => text)).toEqual(['fd00::2', '10.0.0.1']);
  });
});

test.each([
  ['ENOTFOUND', 'name-not-found'],
  ['ENODATA', 'no-addresses'],
  ['ESERVFAIL', 'dns-failed'],
  ['EAI_AGAIN', 'dns-failed'],
  ['ETIMEOUT', 'dns-timeout'],
  ['EBADRESP', 'dns-bad-answer'],
  ['constructor', 'dns-failed'],
])('the resolver error %s is %s', (code, expected) => {
  expect(codeOfDnsError(Object.assign(new Error('x'), { code }))).toBe(expected);
});

test('what is not an error with a code is a failure', () => {
  expect(codeOfDnsError('x')).toBe('dns-failed');
});
