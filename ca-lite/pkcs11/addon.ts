/**
 * Loads `pkcs11js`, the native add-on that loads a PKCS#11 module. It is an optional dependency: it is compiled when it is
 * installed, and the single executable cannot hold it.
 */
import { createRequire } from 'node:module';
import { isSea } from 'node:sea';
import type Pkcs11Js from 'pkcs11js';
import { HsmError } from '../yubihsm/errors.ts';

/** The package's exports. Throws {@link HsmError} `unavailable` that says how to get it. */
export function loadPkcs11(): typeof Pkcs11Js {
  if (isSea()) {
    throw new HsmError(
      'unavailable',
      'the single executable cannot load PKCS#11 modules: run the CA with Node from its package, where pkcs11js is installed',
    );
  }
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
