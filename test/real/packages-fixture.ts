/** The packages that the tests install: those of dist/ where `npm test` has made them, else made here, from the sources as they are. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildPackages } from '#build/build.ts';
import { buildExecutable } from '#build/executable.ts';
import { executables } from '#build/executables.ts';
import { buildPackage } from '#build/packages/package.ts';
import { type PackagePlan, packages } from '#build/packages/package-plan.ts';
import { version } from '#protocol/version.ts';
import { programKind } from '#test/support/programs.ts';

const root = join(import.meta.dirname, '../..');
const cache = join(root, 'node_modules/.cache/countersign/packages');

export interface TestPackages {
  /** Paths, in the order of `packages`. */
  readonly first: readonly string[];
  readonly next: readonly string[];
}

/** A date that the packages of tests have, so that they are made once for the same sources. */
const date = new Date('2026-01-01T00:00:00Z');

/** @param directory where the next version goes: the same programs, and other defaults in /etc */
export async function makePackages(directory: string): Promise<TestPackages> {
  const programs = programKind === 'dist' ? join(root, 'dist') : cache;
  if (programKind === 'sources') for (const plan of executables) await buildExecutable(plan, programs);
  const first = programKind === 'dist' ? await buildPackages(programs) : await makeAll(packages, programs, version);
  const changed = await Promise.all(packages.map(async (plan) => withOtherDefaults(plan, directory)));
  await mkdir(directory, { recursive: true });
  return { first, next: await makeAll(changed, programs, `${version}+next`, directory) };
}

async function makeAll(plans: readonly PackagePlan[], programs: string, of: string, to = programs): Promise<string[]> {
  const paths: string[] = [];
  for (const plan of plans)
    paths.push((await buildPackage(plan, { directory: to, programs, version: of, date, compressed: false })).path);
  return paths;
}

async function withOtherDefaults(plan: PackagePlan, directory: string): Promise<PackagePlan> {
  const files = plan.files.map(async (file) => {
    if (!file.target.startsWith('etc/')) return file;
    const source = join(directory, file.target.replaceAll('/', '-'));
    await writeFile(source, `${await readFile(join(root, file.source), 'utf8')}# of the next version\n`);
    return { ...file, source };
  });
  return { ...plan, files: await Promise.all(files) };
}
