/** DEPENDENCIES.md gives a reason for each package of package.json, and for no other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../../../package.json' with { type: 'json' };

function explained(): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../../DEPENDENCIES.md'), 'utf8');
  return [...page.matchAll(/^- (.+?): /gm)].flatMap(([, names = '']) => names.replaceAll('`', '').split(', '));
}

test('every dependency has one reason', () => {
  const { dependencies, optionalDependencies, devDependencies } = manifest;
  const declared = [dependencies, optionalDependencies, devDependencies].flatMap(Object.keys);
  expect(explained().toSorted()).toEqual(declared.toSorted());
});
