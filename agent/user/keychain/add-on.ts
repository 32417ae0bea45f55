/**
 * Loads the native part of `keytar`. It is an optional dependency: compiled by the build, absent where it could not be. The single executable
 * carries it inside; to be loaded it has to be a file for a moment, in a fresh directory that nobody else can enter, and is gone again
 * before anything is done with it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';

/** What is used of it: of the package's own exports, which check what ours types check. */
export interface Keytar {
  setPassword(service: string, account: string, password: string): Promise<void>;
  deletePassword(service: string, account: string): Promise<boolean>;
  findCredentials(service: string): Promise<readonly { readonly account: string; readonly password: string }[]>;
}

/** Its name in the single executable. */
export const ADD_ON_ASSET = 'keytar.node';

/** Why it is not there, in words, when it is not. */
export function loadKeytar(): Keytar | string {
  try {
    return isSea() ? loadEmbedded() : (createRequire(import.meta.url)('keytar') as Keytar);
  } catch {
    return 'this installation has no add-on for keychains, or a library that it needs is missing (on Linux: libsecret-1)';
  }
}

function loadEmbedded(): Keytar {
  const content = Buffer.from(getRawAsset(ADD_ON_ASSET));
  const directory = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'countersign-add-on-')); // 0700
  try {
    const path = join(directory, ADD_ON_ASSET);
    writeFileSync(path, content, { mode: 0o500, flag: 'wx' });
    const module = { exports: {} };
    process.dlopen(module, path, constants.dlopen.RTLD_NOW);
    return module.exports as Keytar;
  } finally {
    removeQuietly(directory);
  }
}

/** Windows keeps a library that is loaded until the process ends. */
function removeQuietly(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch {
    // what is left is not secret
  }
}
