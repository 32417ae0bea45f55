/**
 * Starts a program of build/ under Node 26, whatever Node this is: `node build/start.js demo` runs build/demo.ts.
 *
 * npm puts the Node of the `node` package first in the PATH of its scripts, so mostly this is Node 26 already. It is not
 * where install scripts were turned off, or where somebody calls this by hand. Plain JavaScript, since an older Node
 * does not read TypeScript; runs under Node 16 and later.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const required = 26;
const here = dirname(fileURLToPath(import.meta.url));
const binaries = join(here, '..', 'node_modules', '.bin');

const [program, ...args] = process.argv.slice(2);
if (!program || !/^[a-z-]+$/.test(program) || !existsSync(join(here, `${program}.ts`))) {
  console.error('usage: node build/start.js demo|test|build|check [ARGUMENT]...');
  process.exit(2);
}
if (!existsSync(join(binaries, 'esbuild'))) {
  console.error('The packages are not installed yet. Run: npm ci');
  process.exit(1);
}
run(findNode());

/** This Node if it is new enough, else the one of the `node` package. */
function findNode() {
  if (majorOf(process.versions.node) >= required) return process.execPath;
  const bundled = join(binaries, 'node');
  const { stdout } = spawnSync(bundled, ['--version'], { encoding: 'utf8' });
  if (stdout && majorOf(stdout.slice(1)) >= required) return bundled;
  console.error(
    `This needs Node ${required} and runs under ${process.versions.node}; the one that npm installs is not there ` +
      `(its install script did not run). Run: npm rebuild node --ignore-scripts=false`,
  );
  return process.exit(1);
}

/** @param {string} version */
function majorOf(version) {
  return Number.parseInt(version, 10);
}

/** @param {string} node path of the Node to use; it comes first in the PATH of what it starts, too */
function run(node) {
  const path = [binaries, process.env.PATH].filter(Boolean).join(delimiter);
  const script = join(here, `${program}.ts`);
  const child = spawn(node, [script, ...args], { stdio: 'inherit', env: { ...process.env, PATH: path } });
  process.on('SIGINT', () => child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0);
  });
}
