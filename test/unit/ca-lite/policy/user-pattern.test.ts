import { expect, it } from 'vitest';
import { parseUserPattern } from '#ca-lite/policy/user-pattern.ts';

it.each(['alice', 'Alice', 'a.b-c_d', 'alice@example.com'])('* is %s', (name) => {
  expect(parseUserPattern('*')?.matches(name)).toBe(true);
});

it.each(['root', 'Root', 'toor', 'postgres', 'www-data', 'ubuntu', 'ec2-user', 'wheel'])('* is never %s', (name) => {
  expect(parseUserPattern('*')?.matches(name)).toBe(false);
});

it('is a name as everywhere else', () => {
  expect(parseUserPattern('root')?.matches('root')).toBe(true);
  expect(parseUserPattern('root')?.matches('rooty')).toBe(false);
  for (const text of ['', '**', 'a*', '*a', '?', 'A']) expect(parseUserPattern(text)).toBeUndefined();
});
