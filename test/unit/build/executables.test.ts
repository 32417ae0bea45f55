/** The plan of the executables names the files that are there, and every worker that the CA can start. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { executables } from '#build/executables.ts';
import { workerFiles } from '#ca-lite/worker.ts';

const root = join(import.meta.dirname, '../../..');

test('every file of the plan exists', () => {
  const files = executables.flatMap(({ entry, workers }) => [entry, ...Object.values(workers)]);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test('the CA gets each worker that it can start, under its name', () => {
  const fromRoot = Object.entries(workerFiles).map(([name, file]) => [name, join('ca-lite', file)]);
  const planned = executables.find(({ name }) => name === 'countersign-ca')?.workers;
  expect(planned).toEqual(Object.fromEntries(fromRoot));
});
