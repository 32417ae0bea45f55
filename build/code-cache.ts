/**
 * A program of its own, started by `executable.ts` with the flags that V8's code cache depends on: makes the code cache of each script
 * that is named, and writes it beside. It runs none of them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Script } from 'node:vm';
import { cacheName } from './part-loader.ts';

for (const name of process.argv.slice(2)) {
  const script = new Script(readFileSync(name, 'latin1'), { filename: name });
  writeFileSync(cacheName(name), script.createCachedData());
}
