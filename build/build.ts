/**
 * `npm run build`: makes the single executables of `executables.ts` in dist/, and a Debian package of each where there is dpkg; leaves
 * alone what would come out the same. `--force` makes the executables all the same. What is in the packages has the date that
 * SOURCE_DATE_EPOCH says, else that of the last commit.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import manifest from '../package.json' with { type: 'json' };
import { buildExecutable } from './executable.ts';
import { executables } from './executables.ts';
import { buildPackage } from './packages/package.ts';
import { packages } from './packages/package-plan.ts';

const dist = join(import.meta.dirname, '..', 'dist');

export async function buildAll({ force = false }: { force?: boolean } = {}): Promise<void> {
  for (const plan of executables) await told(`dist/${plan.name}`, () => buildExecutable(plan, dist, { force }));
  await buildPackages(dist);
}

/** Of the executables in `directory`. */
export async function buildPackages(directory: string): Promise<string[]> {
  const { failed } = await execa('dpkg-deb', ['--version'], { reject: false });
  if (failed) {
    console.log('build: no packages, since dpkg-deb is not here');
    return [];
  }
  const { version } = manifest;
  const date = await sourceDate();
  const paths: string[] = [];
  for (const plan of packages)
    paths.push(await told(`dist/${plan.name}_${version}.deb`, () => buildPackage(plan, { directory, version, date })));
  return paths;
}

interface Built {
  readonly path: string;
  readonly bytes: number;
  readonly rebuilt: boolean;
}

async function told(name: string, work: () => Promise<Built>): Promise<string> {
  const started = performance.now();
  const { path, bytes, rebuilt } = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const size = `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(`build: ${name}, ${size}, ${rebuilt ? `made in ${seconds} s` : 'unchanged'}`);
  return path;
}

/** Reproducible Builds: SOURCE_DATE_EPOCH; without it and without a repository, the beginning of time. */
async function sourceDate(): Promise<Date> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined) return new Date(Number(given) * 1000);
  const { stdout, failed } = await execa('git', ['log', '-1', '--format=%ct'], {
    cwd: import.meta.dirname,
    reject: false,
  });
  return new Date(failed ? 0 : Number(stdout) * 1000);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { force: { type: 'boolean', default: false } } });
  await buildAll(values);
}
