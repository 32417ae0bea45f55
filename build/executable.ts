/**
 * Makes a single executable out of a plan: the bundles of the program and of its workers, inside a copy of the Node
 * that runs this. It needs no Node, and no files, where it runs.
 *
 * V8's code cache is in it, since reading megabytes of JavaScript costs half of a short command's time. It differs from
 * build to build, unless V8's random numbers begin with the same seed: with it, two builds of one commit with one Node
 * are equal byte for byte. The seed is of the build alone; what runs has its own.
 *
 * Refuses on purpose: options from the environment (NODE_OPTIONS), which would let whoever sets it run code in a
 * program that holds keys.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { bundleProgram, bundleWorker } from './bundle.ts';
import type { ExecutablePlan } from './executables.ts';
import { cacheName } from './part-loader.ts';

const root = join(import.meta.dirname, '..');

export interface BuiltExecutable {
  path: string;
  bytes: number;
  /** False if one with the same content was there. */
  rebuilt: boolean;
}

interface Parts {
  main: string;
  /** What main text and parts load when they use it. */
  parts: Readonly<Record<string, string>>;
  workers: Record<string, string>;
  /** Base64. */
  addOns: Record<string, string>;
}

/** Names of Node's own options come from the documentation of single executable applications. */
const seaOptions = {
  mainFormat: 'module',
  disableExperimentalSEAWarning: true,
  useCodeCache: true,
  execArgv: ['--disable-warning=ExperimentalWarning'],
  execArgvExtension: 'none',
};

const codeCache = join(import.meta.dirname, 'code-cache.ts');

/** Other flags would be in the code cache's key, and what runs without them would not take it. */
const sameEachTime = ['--random-seed=1'];

/**
 * @param directory where the executable goes; created if it is missing
 * @param force build also if the same executable is there
 */
export async function buildExecutable(
  plan: ExecutablePlan,
  directory: string,
  { force = false }: { force?: boolean } = {},
): Promise<BuiltExecutable> {
  const parts = await bundleParts(plan);
  const digest = digestOf(parts);
  const path = resolve(directory, plan.name);
  const stamp = join(directory, `.${plan.name}.sha256`);
  const rebuilt = force || !(await isCurrent(path, stamp, digest));
  if (rebuilt) {
    await mkdir(directory, { recursive: true });
    await rm(stamp, { force: true });
    await assemble(parts, path);
    await writeFile(stamp, digest);
  }
  return { path, bytes: (await stat(path)).size, rebuilt };
}

async function bundleParts({ entry, workers, addOns = {} }: ExecutablePlan): Promise<Parts> {
  const { main, parts } = await bundleProgram(entry);
  const entries = Object.entries(workers).map(async ([name, file]) => [name, await bundleWorker(file)] as const);
  return { main, parts, workers: Object.fromEntries(await Promise.all(entries)), addOns: await readAddOns(addOns) };
}

async function readAddOns(files: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const there = Object.entries(files).filter(([, file]) => existsSync(join(root, file)));
  const contents = there.map(async ([name, file]) => [name, await readFile(join(root, file), 'base64')] as const);
  return Object.fromEntries(await Promise.all(contents));
}

/** Of all that the executable is made of. */
function digestOf(parts: Parts): string {
  const all = JSON.stringify([process.version, process.platform, process.arch, seaOptions, sameEachTime, parts]);
  return createHash('sha256').update(all).digest('hex');
}

async function isCurrent(path: string, stamp: string, digest: string): Promise<boolean> {
  try {
    await stat(path);
    return (await readFile(stamp, 'utf8')) === digest;
  } catch {
    return false;
  }
}

/**
 * Written beside and renamed, so that a running one is not in the way and a broken build leaves the old one. Node runs
 * in the scratch directory because it puts the path of the program, as it is given, into the executable.
 */
async function assemble({ main, parts, workers, addOns }: Parts, path: string): Promise<void> {
  await using scratch = await makeScratch();
  const inScratch = (name: string): string => join(scratch.path, name);
  await writeFile(inScratch('main.mjs'), main);
  const files = [
    ...Object.entries({ ...parts, ...workers }).map(([name, text]) => [name, text, 'utf8'] as const),
    ...Object.entries(addOns).map(([name, content]) => [name, content, 'base64'] as const),
  ];
  for (const [name, content, encoding] of files) await writeFile(inScratch(name), content, encoding);
  const caches = Object.keys(parts);
  if (caches.length > 0) await execa(process.execPath, [...sameEachTime, codeCache, ...caches], { cwd: scratch.path });
  const names = [...files.map(([name]) => name), ...caches.map(cacheName)];
  const output = `${path}.new`;
  const assets = Object.fromEntries(names.map((name) => [name, name]));
  await writeFile(inScratch('sea.json'), JSON.stringify({ ...seaOptions, main: 'main.mjs', output, assets }));
  await execa(process.execPath, [...sameEachTime, '--build-sea', 'sea.json'], { cwd: scratch.path });
  await rename(output, path);
}

async function makeScratch() {
  const path = await mkdtemp(join(tmpdir(), 'countersign-build-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
