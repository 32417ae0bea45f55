/**
 * `npm run build`: makes the single executables of `executables.ts` in dist/, and leaves alone those that would come out
 * the same. `--force` makes them all the same.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildExecutable } from './executable.ts';
import { executables } from './executables.ts';

const dist = join(import.meta.dirname, '..', 'dist');

export async function buildAll({ force = false }: { force?: boolean } = {}): Promise<void> {
  for (const plan of executables) {
    const started = performance.now();
    const { bytes, rebuilt } = await buildExecutable(plan, dist, { force });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const size = `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(`build: dist/${plan.name}, ${size}, ${rebuilt ? `made in ${seconds} s` : 'unchanged'}`);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { force: { type: 'boolean', default: false } } });
  await buildAll(values);
}
