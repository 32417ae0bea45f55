/**
 * The few system calls that a program which holds keys needs and that Node does not offer, through `node:ffi` (experimental
 * in Node 26; its types of arguments are given exactly, since a wrong one would corrupt memory). Linux and macOS.
 * Where the module or a function is missing, the functions here say so, and the agent says so in `countersign status`.
 */
import type ffi from 'node:ffi';
import { loadForeignFunctions } from '../foreign-functions.ts';
import type { Peer } from './agent-state.ts';
import { collectGarbage } from './garbage.ts';

const linux = { SOL_SOCKET: 1, SO_PEERCRED: 17, RLIMIT_CORE: 4, PR_SET_DUMPABLE: 4 } as const;
const darwin = { RLIMIT_CORE: 4, PT_DENY_ATTACH: 31 } as const;
const RLIMIT_LENGTH = 16; // two rlim_t of 64 bits: soft and hard limit

export interface NativeCalls {
  /** Who is at the other end of a connected Unix socket; undefined when the call fails. */
  readonly peerOf: (fileDescriptor: number) => Peer | undefined;
  /** Core dumps off, for this process and its children. True when it took. */
  readonly forbidCoreDumps: () => boolean;
  /** Linux: memory and /proc entries of this process belong to root from now on; macOS: no debugger may attach. */
  readonly hideMemory: () => boolean;
  /** Gives back to the system what starting up has left free. */
  readonly trimMemory: () => void;
}

/** Undefined where the platform or this Node cannot. */
export function loadNativeCalls(): NativeCalls | undefined {
  try {
    if (process.platform === 'linux') return linuxCalls(loadForeignFunctions());
    return process.platform === 'darwin' ? darwinCalls(loadForeignFunctions()) : undefined;
  } catch {
    return undefined; // a Node built without FFI, or a C library without the function
  }
}

function linuxCalls({ dlopen }: typeof ffi): NativeCalls {
  const { functions } = dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
    setrlimit: { arguments: ['i32', 'buffer'], return: 'i32' },
    prctl: { arguments: ['i32', 'u64', 'u64', 'u64', 'u64'], return: 'i32' },
  });
  return {
    peerOf: (fileDescriptor) => {
      const credentials = new Int32Array(3); // struct ucred: pid, uid, gid
      const length = Int32Array.of(credentials.byteLength);
      const { SOL_SOCKET, SO_PEERCRED } = linux;
      if (functions.getsockopt(fileDescriptor, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
      const [pid = 0, uid = -1] = credentials;
      return { uid: uid >>> 0, pid };
    },
    forbidCoreDumps: () => functions.setrlimit(linux.RLIMIT_CORE, new Uint8Array(RLIMIT_LENGTH)) === 0,
    hideMemory: () => functions.prctl(linux.PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0,
    trimMemory: trimmer(dlopen),
  };
}

/** `malloc_trim` is glibc's alone. */
function trimmer(dlopen: (typeof ffi)['dlopen']): () => void {
  try {
    const { functions } = dlopen(null, { malloc_trim: { arguments: ['u64'], return: 'i32' } });
    return () => {
      collectGarbage();
      functions.malloc_trim(0n);
    };
  } catch {
    return collectGarbage;
  }
}

function darwinCalls({ dlopen }: typeof ffi): NativeCalls {
  const { functions } = dlopen(null, {
    getpeereid: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
    setrlimit: { arguments: ['i32', 'buffer'], return: 'i32' },
    ptrace: { arguments: ['i32', 'i32', 'u64', 'i32'], return: 'i32' },
  });
  return {
    peerOf: (fileDescriptor) => {
      const [uid, gid] = [new Uint32Array(1), new Uint32Array(1)];
      if (functions.getpeereid(fileDescriptor, uid, gid) !== 0) return undefined;
      return { uid: uid[0] ?? 0xffff_ffff, pid: 0 };
    },
    forbidCoreDumps: () => functions.setrlimit(darwin.RLIMIT_CORE, new Uint8Array(RLIMIT_LENGTH)) === 0,
    hideMemory: () => functions.ptrace(darwin.PT_DENY_ATTACH, 0, 0n, 0) === 0,
    trimMemory: collectGarbage,
  };
}
