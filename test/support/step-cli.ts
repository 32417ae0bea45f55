/**
 * The public `step` CLI, an unmodified client of step-ca: found on the PATH, or built from its Go module where there is a Go toolchain. The
 * build takes minutes once, and is kept below node_modules.
 */
import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const MODULE = 'github.com/smallstep/cli/cmd/step@v0.21.0';
const cache = join(import.meta.dirname, '../../node_modules/.cache/countersign-step');

export type StepCli = { readonly path: string } | { readonly missing: string };

export async function findStepCli(): Promise<StepCli> {
  const built = join(cache, 'step');
  for (const path of ['step', built]) if (await isStep(path)) return { path: await resolve(path) };
  const go = await execa('go', ['version'], { reject: false, stdin: 'ignore' });
  if (go.failed) return { missing: 'neither the step CLI nor a Go toolchain to build it with is installed' };
  await mkdir(cache, { recursive: true });
  const env = { GOBIN: cache, GOFLAGS: '' };
  const made = await execa('go', ['install', MODULE], { reject: false, env, timeout: 15 * 60_000 });
  return (await isStep(built))
    ? { path: built }
    : { missing: `go install ${MODULE} failed: ${made.stderr.slice(-300)}` };
}

/** A program of KDE has the same name. */
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
