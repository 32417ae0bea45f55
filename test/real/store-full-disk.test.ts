/** A full disk: refused clearly, nothing acknowledged is lost, and when there is room again the store goes on by itself. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { makeSqliteHome } from './store-sqlite-home.ts';

const program = fileURLToPath(new URL('./store-full-disk-program.ts', import.meta.url));
/** A mount namespace of its own; whoever is not root becomes it inside. */
const namespace = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];

test('survives a full disk without a restart', async () => {
  await using home = await makeSqliteHome();
  const directory = home.newPath('small');
  await mkdir(directory);
  const { stdout } = await execa('unshare', [...namespace, process.execPath, program, directory]);
  const report = JSON.parse(stdout) as { whileFull: { acknowledged: number } };
  expect(report).toMatchObject({
    whileFull: { codes: ['store-full'], readable: 'issued' },
    backup: 'store-full',
    afterwards: { codes: [], acknowledged: report.whileFull.acknowledged + 2 },
    again: true,
    lost: [],
    chain: true,
  });
  expect(report.whileFull.acknowledged).toBeGreaterThan(20);
});
