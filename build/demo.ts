/** `npm run demo`: sets up what the demo starts, and runs it. Arguments go to the demo, test/demo/main.ts. */
import { join } from 'node:path';
import { execa } from 'execa';
import { setUp, SetupError } from './setup.ts';

const root = join(import.meta.dirname, '..');

async function main(args: string[]): Promise<number> {
  const path = await setUp('demo');
  const { exitCode = 1 } = await execa(process.execPath, ['test/demo/main.ts', ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { PATH: path },
    reject: false,
  });
  return exitCode;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
