import { describe, expect, it } from 'vitest';
import { parseNamePattern } from '#ca-lite/policy/name-pattern.ts';

const matches = (pattern: string, name: string): boolean => parseNamePattern(pattern)?.matches(name) ?? false;

describe('name patterns', () => {
  it.each([
    ['web1.example.com', 'web1.example.com', true],
    ['web1.example.com', 'web2.example.com', false],
    ['*.example.com', 'web1.example.com', true],
    ['*.example.com', 'a.b.example.com', false],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'webexample.com', false],
    ['*.example.com', 'web1.example.com.evil.net', false],
    ['**.example.com', 'a.b.example.com', true],
    ['**.example.com', 'example.com', false],
    ['**.example.com', 'a..example.com', false],
    ['**.example.com', 'a b.example.com', false],
    ['**.example.com', 'a,b.example.com', false],
    ['alice', 'alice', true],
    ['alice', 'Alice', false],
  ])('%s and %s: %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it.each([
    '',
    '*',
    '**',
    '*.',
    'a.*.com',
    'w*.example.com',
    'UPPER',
    'a b',
    '.a',
    'a.',
    'a,b',
    `${'a'.repeat(64)}.com`,
  ])('refuses the pattern %j', (text) => {
    expect(parseNamePattern(text)).toBeUndefined();
  });
});
