/** `node:ffi`, with which Node calls functions of the C library. Experimental in Node 26; not in every build of it. */
import type ffi from 'node:ffi';

/** Node warns about the experimental module once; whoever runs the agent can do nothing about it. @throws where this Node has none */
export function loadForeignFunctions(): typeof ffi {
  const warn = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return process.getBuiltinModule('node:ffi');
  } finally {
    process.emitWarning = warn;
  }
}
