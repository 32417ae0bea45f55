/** A program for `--browser` that signs in as somebody, without a person. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const program = join(import.meta.dirname, 'browser-program.ts');

/** Written to `path`. What the last page says ends up in `PATH.page`. @param rootFile PEM of the root of the provider's TLS certificate */
export async function writeBrowserScript(path: string, login: string, rootFile: string): Promise<void> {
  const environment = `BROWSER_LOGIN='${login}' BROWSER_ROOT='${rootFile}'`;
  const command = `exec '${process.execPath}' '${program}' "$1" >'${path}.page' 2>&1`;
  await writeFile(path, `#!/bin/sh\n${environment} ${command}\n`);
  await chmod(path, 0o755);
}
