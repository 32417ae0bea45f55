import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  certificatesNamedIn,
  configArgument,
  decodeConfig,
  encodeConfig,
  includedDirectories,
  withBlock,
  withoutBlock,
} from '#agent/host/sshd-config-text.ts';

const config = (text: string) => decodeConfig(Buffer.from(text, 'utf8'));

describe('includedDirectories', () => {
  test.each([
    ['Include /etc/ssh/sshd_config.d/*.conf', ['/etc/ssh/sshd_config.d']],
    ['  include=/etc/ssh/sshd_config.d/*.conf  ', ['/etc/ssh/sshd_config.d']],
    ['INCLUDE sshd_config.d/*.conf', ['/etc/ssh/sshd_config.d']],
    ['Include "/opt/my config/*.conf" /other/* # both', ['/opt/my config', '/other']],
    ['Include /etc/ssh/extra.conf', []],
    ['Include /etc/*/conf.d/*.conf', []],
    ['#Include /etc/ssh/sshd_config.d/*.conf', []],
    ['Port 22\nMatch User x\nInclude /etc/ssh/sshd_config.d/*.conf', []],
    ['Include /a/*.conf\nMatch all\nInclude /b/*.conf', ['/a']],
    ['Include /etc/caf\u00e9/*.conf', ['/etc/caf\u00e9']],
    ['', []],
  ])('%j', (text, directories) => {
    expect(includedDirectories(config(text))).toEqual(directories);
  });
});

describe('the marked block', () => {
  const lines = ['HostCertificate /etc/ssh/a-cert.pub', 'TrustedUserCAKeys "/etc/my ca.pub"'];

  test('stands in front, and is replaced, not repeated', () => {
    const once = withBlock(config('Port 22\n'), lines);
    expect(once.split('\n').slice(1, 3)).toEqual(lines);
    expect(once.endsWith('\nPort 22\n')).toBe(true);
    expect(withBlock(withBlock(config('Port 22\n'), ['Old line']), lines)).toBe(once);
  });

  test('goes without a trace from any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(encodeConfig(withoutBlock(withBlock(decodeConfig(bytes), lines)))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test('goes also when the text around it was changed since, and stays when it is not whole', () => {
    const text = withBlock(config('Port 22\n'), lines);
    expect(withoutBlock(config(`# mine\n${text}X11Forwarding no\n`))).toBe('# mine\nPort 22\nX11Forwarding no\n');
    const torn = config(text.slice(0, text.indexOf('# END')));
    expect(withoutBlock(torn)).toBe(torn);
  });

  test('tells which certificates it names; a drop-in is ours as a whole', () => {
    const text = withBlock(config('HostCertificate /theirs\n'), lines);
    expect(certificatesNamedIn(text, 'block')).toEqual(['/etc/ssh/a-cert.pub']);
    expect(certificatesNamedIn(config('HostCertificate "/a b"\nhostcertificate /c\n'), 'file')).toEqual(['/a b', '/c']);
  });
});

test('a path with a space is quoted; one with a quote or line break cannot stand in a configuration', () => {
  expect(configArgument('/etc/ssh/a')).toBe('/etc/ssh/a');
  expect(configArgument('/etc/my ssh/a')).toBe('"/etc/my ssh/a"');
  for (const path of ['/a"b', '/a\nb', '/a\0b']) expect(() => configArgument(path)).toThrow(TypeError);
});
