/** How long a program takes from start to end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Milliseconds. @throws Error when it does not end with status 0 */
export async function timeOf([file = '', ...args]: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = spawn(file, args, { stdio: 'ignore' });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with status ${code}`);
  return performance.now() - started;
}
