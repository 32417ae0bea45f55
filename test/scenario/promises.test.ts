/** The gate: each promise is cited by a test, and no test of the scenarios is set aside. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { promises } from './promises.ts';

const names = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.test.ts'));
const texts = new Map(
  await Promise.all(
    names.map(async (name) => [name, await readFile(join(import.meta.dirname, name), 'utf8')] as const),
  ),
);

/** As a test of its own, not in a comment. */
function citedIn(text: string): string[] {
  return [...text.matchAll(/^ *holds\(\s*'([a-z0-9-]+)'/gm)].map((match) => match[1] ?? '');
}

describe('promises', () => {
  const cited = new Set([...texts.values()].flatMap(citedIn));

  test.each(Object.keys(promises))('%s has a test', (id) => {
    expect(cited).toContain(id);
  });

  test('no test is set aside', () => {
    const aside = [...texts].filter(([, text]) =>
      /\b(test|describe|it)\.(skip|skipIf|runIf|todo|only|fails)\b/.test(text),
    );
    expect(aside.map(([name]) => name)).toEqual([]);
  });

  test('the gate sees a citation, and the lack of one', () => {
    expect(citedIn(`holds('tarpit', async () => {});`)).toEqual(['tarpit']);
    expect(citedIn(`  holds(\n    'tarpit',\n    run)`)).toEqual(['tarpit']);
    expect(citedIn(`// holds('tarpit', run)\n test('flood')`)).toEqual([]);
  });
});
