/** Starts the load client (`load-client.ts`) and reads what it measured. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LoadTarget {
  readonly port: number;
  /** File of the root certificate. */
  readonly root: string;
  readonly path: string;
  /** Of every reply. */
  readonly status: number;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds of CPU that the client itself used for each request. */
  readonly cpuMs: number;
}

/** Resolves once each of `bodies` was answered with a certificate. */
export async function load(target: LoadTarget, clients: number, bodies: readonly string[]): Promise<LoadResult> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  try {
    const file = join(directory, 'bodies.json');
    await writeFile(file, JSON.stringify(bodies));
    const { port, root, path, status } = target;
    const script = join(import.meta.dirname, 'load-client.ts');
    const child = spawn(process.execPath, [script, `${port}`, root, `${clients}`, file, path, `${status}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error('the load client failed');
    return JSON.parse(text) as LoadResult;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
