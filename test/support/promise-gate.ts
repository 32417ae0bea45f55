/** Promises as data: a test for each, by its id, and a gate that finds those without one. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** @returns a test that holds the project to a promise, for a file of tests to call */
export function holderOf<Id extends string>(promises: Readonly<Record<Id, string>>) {
  return (id: Id, run: () => Promise<void>): void => {
    test(`${id}: ${promises[id]}`, async () => {
      await run();
      expect(expect.getState().assertionCalls).toBeGreaterThan(0); // what asserts nothing shows nothing
    });
  };
}

/** The ids that a text cites, as tests of their own, not in a comment. */
export function citedIn(text: string): string[] {
  return [...text.matchAll(/^ *holds\(\s*'([a-z0-9-]+)'/gm)].map((match) => match[1] ?? '');
}

/** Names and texts of the tests in a directory. */
export async function testsIn(directory: string, isWanted: RegExp): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.test.ts') && isWanted.test(name));
  const read = async (name: string) => [name, await readFile(join(directory, name), 'utf8')] as const;
  return new Map(await Promise.all(names.map(read)));
}

/** Whether a test of the text is set aside. */
export function setsAside(text: string): boolean {
  return /\b(test|describe|it)\.(skip|skipIf|runIf|todo|only|fails)\b/.test(text);
}
