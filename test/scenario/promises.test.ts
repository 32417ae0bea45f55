/** The gate: each promise is cited by a test, and no test of the scenarios is set aside. */
import { describe, expect, test } from 'vitest';
import { citedIn, setsAside, testsIn } from '#test/support/promise-gate.ts';
import { promises } from './promises.ts';

const texts = await testsIn(import.meta.dirname, /./);

describe('promises', () => {
  const cited = new Set([...texts.values()].flatMap(citedIn));

  test.each(Object.keys(promises))('%s has a test', (id) => {
    expect(cited).toContain(id);
  });

  test('no test is set aside', () => {
    const aside = [...texts].filter(([, text]) => setsAside(text));
    expect(aside.map(([name]) => name)).toEqual([]);
  });

  test('the gate sees a citation, and the lack of one', () => {
    expect(citedIn(`holds('tarpit', async () => {});`)).toEqual(['tarpit']);
    expect(citedIn(`  holds(\n    'tarpit',\n    run)`)).toEqual(['tarpit']);
    expect(citedIn(`// holds('tarpit', run)\n test('flood')`)).toEqual([]);
  });
});
