/** Texts of a Debian package, and what the plans name. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { executables } from '#build/executables.ts';
import { manuals } from '#build/packages/man-page-plan.ts';
import { packages } from '#build/packages/package-plan.ts';
import { formatChangelog, formatControl } from '#build/packages/package-text.ts';

const root = join(import.meta.dirname, '../../../..');
const [plan = fail()] = packages;

function fail(): never {
  throw new Error('there is no package');
}

test('there is a package of every executable, and a manual', () => {
  const names = executables.map(({ name }) => name);
  expect(packages.map(({ executable }) => executable)).toEqual(names);
  expect(manuals.map(({ program, entry }) => ({ name: program, entry }))).toMatchObject(
    executables.map(({ name, entry }) => ({ name, entry })),
  );
});

test('every file of the plans exists', () => {
  const files = packages.flatMap((one) => one.files.map(({ source }) => source));
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test('control has each field once, and a description that folds', () => {
  const text = formatControl(plan, { version: '1.2', architecture: 'arm64', installedKibibytes: 7 });
  const fields = text
    .split('\n')
    .filter((line) => /^\S/.test(line))
    .map((line) => line.split(':')[0]);
  expect(new Set(fields).size).toBe(fields.length);
  expect(text).toContain('\nVersion: 1.2\nArchitecture: arm64\n');
  expect(text).toContain('\nInstalled-Size: 7\n');
  expect(text).toMatch(/^Depends: libc6 \(>= 2\.28\), /m);
  const [, folded = ''] = text.split(/^Description: .*\n/m);
  for (const line of folded.trimEnd().split('\n')) expect(line).toMatch(/^ (\.|\S.{0,77})$/);
});

test('the changelog has the date that it is given', () => {
  const text = formatChangelog(plan, '1.2', new Date('2026-02-03T04:05:06Z'));
  expect(text).toMatch(/^countersign \(1\.2\) unstable; urgency=medium\n/);
  expect(text).toMatch(/\n -- .+ <\S+>  Tue, 03 Feb 2026 04:05:06 \+0000\n$/);
});
