/**
 * Loads `pkcs11js`, the native add-on that loads a PKCS#11 module. It is an optional dependency: compiled when it is installed. The single
 * executable carries it inside; to be loaded it has to be a file for a moment, in a fresh directory that nobody else can enter.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';
import type Pkcs11Js from 'pkcs11js';
import { HsmError } from '../yubihsm/errors.ts';

/** Its name in the single executable. */
const asset = 'pkcs11.node';
/** Where the package finds what was loaded, in the single executable (`build/bundle.ts`). */
const place = Symbol.for('countersign pkcs11.node');

let embedded: typeof Pkcs11Js | undefined;

/** To be called before {@link loadPkcs11} in the single executable; does nothing elsewhere. Throws {@link HsmError} `unavailable`. */
export async function preparePkcs11(): Promise<void> {
  if (!isSea() || embedded !== undefined) return;
  Object.defineProperty(globalThis, place, { value: loadEmbedded(), configurable: true });
  embedded = (await import('pkcs11js')).default;
}

/** The package's exports. Throws {@link HsmError} `unavailable` that says how to get it. */
export function loadPkcs11(): typeof Pkcs11Js {
  if (embedded !== undefined) return embedded;
  try {
    return createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11Js;
  } catch (error) {
    throw new HsmError(
      'unavailable',
      'the package pkcs11js is not there or was not compiled: install a C++ compiler and run "npm install pkcs11js"',
      { cause: error },
    );
  }
}

function loadEmbedded(): object {
  const directory = mkdtempSync(join(process.env['RUNTIME_DIRECTORY'] ?? tmpdir(), 'countersign-add-on-')); // 0700
  try {
    const path = join(directory, asset);
    writeFileSync(path, Buffer.from(getRawAsset(asset)), { mode: 0o500, flag: 'wx' });
    const module = { exports: {} };
    process.dlopen(module, path, constants.dlopen.RTLD_NOW);
    return module.exports;
  } catch (error) {
    throw new HsmError(
      'unavailable',
      `the add-on for PKCS#11 cannot be loaded: this executable was built without it, or ${tmpdir()} is full or mounted noexec`,
      { cause: error },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
