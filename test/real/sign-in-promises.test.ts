/** The gate: each promise of a sign-in is cited by a test, and no such test is set aside. */
import { describe, expect, test } from 'vitest';
import { citedIn, setsAside, testsIn } from '#test/support/promise-gate.ts';
import { promises } from './sign-in-promises.ts';

const texts = await testsIn(import.meta.dirname, /^(oidc-sign|login-)/);

describe('promises of a sign-in', () => {
  const cited = new Set([...texts.values()].flatMap(citedIn));

  test.each(Object.keys(promises))('%s has a test', (id) => {
    expect(cited).toContain(id);
  });

  test('no test is set aside', () => {
    expect([...texts].filter(([, text]) => setsAside(text)).map(([name]) => name)).toEqual([]);
  });
});
