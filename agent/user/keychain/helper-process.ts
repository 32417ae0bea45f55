/**
 * The keychain through a helper process, one for each operation: a native library that hangs at a dialog or falls over takes the agent along in
 * no case, and its memory is given back. Refused on purpose: the file that libsecret can use in place of a keychain (`SECRET_BACKEND`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Value } from 'typebox/value';
import { ownCommand } from '../background.ts';
import { readableBytes } from '../readable-bytes.ts';
import { HelperReply, type HelperRequest, MAX_MESSAGE_LENGTH } from './helper-protocol.ts';
import { type Keychain, KeychainError, type KeychainItem } from './keychain.ts';

/** A person may be asked to unlock it. */
const TIMEOUT_MS = 60_000;
export const HELPER_COMMAND = 'keychain-helper';

/** The keychain of the system. Nothing is touched until the first operation. */
export function systemKeychain(): Keychain {
  return {
    list: async (signal) => ask({ operation: 'list' }, signal),
    write: async ({ account, secret }) => void (await ask({ operation: 'write', account, secret })),
    remove: async (account) => void (await ask({ operation: 'remove', account })),
  };
}

async function ask(request: HelperRequest, signal?: AbortSignal): Promise<readonly KeychainItem[]> {
  const reply = parseReply(await run(JSON.stringify(request), signal));
  if ('items' in reply) return reply.items;
  throw new KeychainError(reply.code, reply.reason);
}

async function run(request: string, signal: AbortSignal | undefined): Promise<string> {
  const [program, ...leading] = ownCommand();
  const child = spawn(program, [...leading, HELPER_COMMAND], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, SECRET_BACKEND: 'service' },
    shell: false,
    ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' }),
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  child.stdin.on('error', () => undefined); // it ended: its reply, or its silence, says why
  try {
    const ended = once(child, 'close');
    child.stdin.end(request);
    const [bytes] = await Promise.all([readableBytes(child.stdout, MAX_MESSAGE_LENGTH), ended]);
    if (child.signalCode === 'SIGKILL') throw locked();
    return Buffer.from(bytes).toString('utf8');
  } catch (cause) {
    if (cause instanceof KeychainError) throw cause;
    throw new KeychainError('keychain-missing', 'the program that talks to the keychain could not be run', { cause });
  } finally {
    clearTimeout(timer);
  }
}

function parseReply(text: string): HelperReply {
  try {
    const value: unknown = JSON.parse(text);
    if (Value.Check(HelperReply, value)) return value;
  } catch {
    // the same as any other answer that is none
  }
  throw new KeychainError('keychain-refused', 'the program that talks to the keychain ended without an answer');
}

function locked(): KeychainError {
  return new KeychainError('keychain-locked', 'the keychain is locked, and nobody unlocked it');
}
