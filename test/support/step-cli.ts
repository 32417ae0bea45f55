/**
 * The public `step` CLI, an unmodified client of step-ca: found on the PATH, or built from its Go module (Debian: golang-go). The build takes
 * minutes once, and is kept where `npm ci` does not take it away.
 */
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

/** Its go.mod asks for no newer Go than Debian has. */
const VERSION = 'v0.21.0';
const MODULE = `github.com/smallstep/cli/cmd/step@${VERSION}`;
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'countersign-step', VERSION);

/** On two cores that have much else to do. */
const BUILD_MS = 7 * 60_000;
/** A module proxy that hiccups is no failure of the change; what was built stays in Go's own cache. */
const ATTEMPTS = 2;

export type StepCli = { readonly path: string } | { readonly missing: string };

/** Where it has to be: in CI, and in tests that are about nothing else. @throws Error where it can neither be found nor built */
export async function requireStepCli(): Promise<string> {
  const step = await findStepCli();
  if ('path' in step) return step.path;
  throw new Error(step.missing);
}

/** Found once. */
export async function findStepCli(): Promise<StepCli> {
  finding ??= findOrBuild();
  return finding;
}

let finding: Promise<StepCli> | undefined;

async function findOrBuild(): Promise<StepCli> {
  const built = join(cache, 'step');
  for (const path of ['step', built]) if (await isStep(path)) return { path: await resolve(path) };
  const go = await execa('go', ['version'], { reject: false, stdin: 'ignore' });
  if (go.failed) return { missing: 'neither the step CLI nor a Go toolchain to build it with is installed' };
  await mkdir(cache, { recursive: true });
  // Into a directory of its own, and put into place whole: another test file may be building too.
  const own = await mkdtemp(join(cache, 'build-'));
  try {
    const env = { GOBIN: own, GOFLAGS: '' };
    let failure = '';
    for (let attempt = 0; attempt < ATTEMPTS && !(await isStep(join(own, 'step'))); attempt++) {
      const made = await execa('go', ['install', MODULE], { reject: false, env, stdin: 'ignore', timeout: BUILD_MS });
      failure = made.stderr.slice(-300);
    }
    if (!(await isStep(join(own, 'step')))) return { missing: `go install ${MODULE} failed: ${failure}` };
    await rename(join(own, 'step'), built);
    return { path: built };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** A program of KDE has the same name, and wants a screen. */
async function isStep(path: string): Promise<boolean> {
  const { stdout, failed } = await execa(path, ['version'], { reject: false, stdin: 'ignore' });
  return !failed && stdout.includes('Smallstep CLI');
}

async function resolve(path: string): Promise<string> {
  for (const folder of path.includes('/') ? [''] : (process.env['PATH'] ?? '').split(':')) {
    const candidate = folder === '' ? path : join(folder, path);
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return path;
}
