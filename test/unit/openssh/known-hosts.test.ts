import { createHmac } from 'node:crypto';
import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { matchPattern, matchPatternList } from '#openssh/host-pattern.ts';
import {
  type KnownHostsLine,
  findHostKeyStatus,
  formatKnownHosts,
  isKnownAs,
  knownHostName,
  knownHostsLine,
  parseKnownHosts,
} from '#openssh/known-hosts.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import { bytes, sampleCa, sampleCertificate, sampleKeys } from './samples.ts';

const ed25519 = sampleKeys['ssh-ed25519'].publicKey;
const rsa = sampleKeys['ssh-rsa'].publicKey;
const ca = sampleCa.publicKey;
const edLine = formatPublicKeyLine(ed25519);

function lines(text: string): KnownHostsLine[] {
  return parseKnownHosts(bytes(text));
}

describe('patterns', () => {
  test.each([
    ['', '', true],
    ['a', '', false],
    ['', '*', true],
    ['abc', 'a*c', true],
    ['abc', 'a?c', true],
    ['abc', 'a?', false],
    ['abc', '*b*', true],
    ['abcabd', '*abd', true],
    ['aaab', '*a?b', true],
    ['host.example.com', '*.example.com', true],
    ['example.com', '*.example.com', false],
    ['a.b', 'a.b', true],
    ['axb', 'a.b', false],
  ])('%j matches %j: %s', (text, pattern, matches) => {
    expect(matchPattern(text, pattern)).toBe(matches);
  });

  test.each([
    ['a', 'a,b', 'yes'],
    ['c', 'a,b', 'none'],
    ['a', '*,!a', 'no'],
    ['a', '!a,*', 'no'],
    ['b', '*,!a', 'yes'],
    ['b', '!a', 'none'],
    ['a', `${'x'.repeat(1023)},a`, 'none'],
  ] as const)('%j in the list %j: %s', (text, list, found) => {
    expect(matchPatternList(text, list)).toBe(found);
  });

  test('agree with a regular expression', () => {
    const letters = constantFrom('a', 'b', '*', '?');
    const word = array(letters, { maxLength: 8 }).map((parts) => parts.join(''));
    assert(
      property(word, word, (text, pattern) => {
        const expression = pattern.replaceAll('*', '.*').replaceAll('?', '.');
        expect(matchPattern(text, pattern)).toBe(new RegExp(`^(?:${expression})$`).test(text));
      }),
      { numRuns: 1000 },
    );
  });

  test('many stars take no time to speak of', () => {
    expect(matchPattern('a'.repeat(5000), `${'*a'.repeat(500)}b`)).toBe(false);
  });
});

describe('lines', () => {
  const file = [
    '# a comment',
    '',
    `host.example.com,192.0.2.1 ${edLine} a comment`,
    `@cert-authority *.example.com ${formatPublicKeyLine(ca)}`,
    `  @revoked\t* ${formatPublicKeyLine(rsa)}\r`,
    '@unknown-marker * ssh-rsa AAAA',
    `@revoked @revoked * ${edLine}`,
    'host ssh-dss AAAAB3NzaC1kc3M=',
    'host ssh-ed25519',
    'host',
    `host 1024 65537 123456789`,
    '\u00ff\u0000 bad',
    `last ${edLine}`,
  ].join('\n');

  test('come back byte for byte, with what cannot be read', () => {
    const latin1 = new Uint8Array(Buffer.from(file, 'latin1'));
    expect(formatKnownHosts(parseKnownHosts(latin1))).toEqual(latin1);
  });

  test('are entries or foreign', () => {
    const entries = lines(file).map(({ entry }) => entry && [entry.marker, entry.hosts, entry.comment]);
    expect(entries).toEqual([
      undefined,
      undefined,
      [undefined, 'host.example.com,192.0.2.1', 'a comment'],
      ['cert-authority', '*.example.com', ''],
      ['revoked', '*', ''],
      ...Array.from({ length: 7 }, () => undefined),
      [undefined, 'last', ''],
    ]);
  });

  test('any text comes back', () => {
    const word = constantFrom('@revoked', '@', '#', ' ', '\t', '\n', '\r\n', 'host', '*', edLine, 'ssh-rsa', '|1|');
    assert(
      property(array(word), string(), (words, tail) => {
        const input = bytes(words.join('') + tail);
        expect(formatKnownHosts(parseKnownHosts(input))).toEqual(input);
      }),
    );
  });

  test('a line put after one without a line end starts its own', () => {
    const added = knownHostsLine({ patterns: ['new'], key: ed25519 });
    const text = Buffer.from(formatKnownHosts([...lines('host x'), added])).toString();
    expect(text).toBe(`host x\nnew ${edLine}\n`);
  });

  test('a line over 64 KiB is foreign', () => {
    expect(lines(`${'a'.repeat(70_000)} ${edLine}`)[0]?.entry).toBeUndefined();
  });

  test('a file over 16 MiB is refused', () => {
    expect(() => parseKnownHosts(new Uint8Array(16 * 1024 * 1024 + 1))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});

describe('new lines', () => {
  test('are what ssh writes', () => {
    const line = knownHostsLine({
      marker: 'cert-authority',
      patterns: ['*.Example.com', '!bad.example.com', '[host]:2222', '2001:db8::1'],
      key: ca,
      comment: 'CA',
    });
    const text = `@cert-authority *.example.com,!bad.example.com,[host]:2222,2001:db8::1 ${formatPublicKeyLine(ca, 'CA')}\n`;
    expect(Buffer.from(line.raw).toString()).toBe(text);
    expect(line.entry).toMatchObject({ marker: 'cert-authority', key: ca });
  });

  test.each(['', 'a b', 'a,b', '#a', '@a', '|1|x', '!', 'a\nb', 'a"'])('refuse the pattern %j', (pattern) => {
    expect(() => knownHostsLine({ patterns: [pattern], key: ed25519 })).toThrow(TypeError);
  });

  test('need a pattern', () => {
    expect(() => knownHostsLine({ patterns: [], key: ed25519 })).toThrow(TypeError);
  });
});

describe('names', () => {
  test('carry a port that is not 22', () => {
    expect(knownHostName('Host.Example.com')).toBe('host.example.com');
    expect(knownHostName('host', 22)).toBe('host');
    expect(knownHostName('2001:db8::1', 2222)).toBe('[2001:db8::1]:2222');
  });

  const entryFor = (hosts: string): NonNullable<KnownHostsLine['entry']> => {
    const [line] = lines(`${hosts} ${edLine}`);
    if (line?.entry === undefined) throw new Error('not an entry');
    return line.entry;
  };

  test('match whatever the case', () => {
    expect(isKnownAs(entryFor('HOST.example.com'), 'Host.Example.COM')).toBe(true);
  });

  test('match hashed', () => {
    const salt = new Uint8Array(20).fill(7);
    const hash = createHmac('sha1', salt).update('host.example.com').digest();
    const hosts = `|1|${encodeBase64(salt)}|${encodeBase64(hash)}`;
    expect(isKnownAs(entryFor(hosts), 'Host.example.com')).toBe(true);
    expect(isKnownAs(entryFor(hosts), 'other.example.com')).toBe(false);
  });

  test.each(['|1|', '|2|a|b', '|1|AAAA|AAAA', `|1|${'!'.repeat(28)}|${'A'.repeat(28)}`, '|*'])(
    'never match the damaged hash %s',
    (hosts) => {
      expect(isKnownAs(entryFor(hosts), hosts)).toBe(false);
    },
  );
});

describe('the answer', () => {
  const host = { host: 'web.example.com' };
  const certificate = sampleCertificate({ type: 'host', key: ed25519, principals: ['web.example.com'] });
  const caLine = `@cert-authority *.example.com ${formatPublicKeyLine(ca)}\n`;
  const keyLine = `web.example.com ${edLine}\n`;
  const otherLine = `web.example.com ${formatPublicKeyLine(rsa)}\n`;
  const revoke = (key: typeof ca): string => `@revoked * ${formatPublicKeyLine(key)}\n`;

  test.each([
    ['a key that stands there', keyLine, 'known'],
    ['a key beside another', otherLine + keyLine, 'known'],
    ['another key', otherLine, 'changed'],
    ['nothing for this host', keyLine.replace('web', 'db'), 'unknown'],
    ['a CA line alone', caLine, 'unknown'],
    ['the key as a CA', `@cert-authority * ${edLine}`, 'unknown'],
    ['the key, revoked elsewhere in the file', keyLine + revoke(ed25519), 'revoked'],
    ['the key, revoked first', revoke(ed25519) + keyLine, 'revoked'],
    ['the key, revoked for another host', keyLine + revoke(ed25519).replace('*', 'db.example.com'), 'known'],
  ])('for a key and %s', (_, text, status) => {
    expect(findHostKeyStatus(lines(text), host, ed25519)).toBe(status);
  });

  test.each([
    ['its CA', caLine, 'known'],
    ['its CA for other hosts', caLine.replace('*.example.com', 'db.example.com'), 'unknown'],
    ['another CA', `@cert-authority * ${formatPublicKeyLine(rsa)}`, 'unknown'],
    ['the plain key alone', keyLine, 'unknown'],
    ['its CA as a plain key', `* ${formatPublicKeyLine(ca)}`, 'unknown'],
    ['its CA, revoked', caLine + revoke(ca), 'revoked'],
    ['its key, revoked', caLine + revoke(ed25519), 'revoked'],
  ])('for a certificate and %s', (_, text, status) => {
    expect(findHostKeyStatus(lines(text), host, certificate)).toBe(status);
  });

  describe('on another port', () => {
    const other = { host: 'web.example.com', port: 2222 };
    const portLine = `[web.example.com]:2222 ${edLine}\n`;
    test.each([
      ['the line with the port', portLine, 'known'],
      ['the line without the port', keyLine, 'known'],
      [
        'another key with the port',
        otherLine.replace('web.example.com', '[web.example.com]:2222') + keyLine,
        'changed',
      ],
      ['another key without the port', otherLine, 'unknown'],
      ['the line of a third port', portLine.replace('2222', '2223'), 'unknown'],
    ])('%s', (_, text, status) => {
      expect(findHostKeyStatus(lines(text), other, ed25519)).toBe(status);
    });
  });
});
