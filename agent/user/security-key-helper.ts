/**
 * Signatures by security keys (FIDO): through OpenSSH's own `ssh-sk-helper`, in a process of its own, so that a middleware
 * library never runs in the process that holds keys. The helper's protocol is OpenSSH's internal one, version 5 since
 * OpenSSH 8.4 (`ssh-sk-client.c`); another version is refused by the helper itself.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readableBytes } from './readable-bytes.ts';
import { FormatError } from '#openssh/format-error.ts';
import { writePrivateKeyFields } from '#openssh/private-key-fields.ts';
import { MAX_SIGNATURE_LENGTH } from '#openssh/signature.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import type { SecurityKeySigner } from './identity.ts';

const HELPER_VERSION = 5;
const HELPER_SIGN = 1;
const LOG_LEVEL_ERROR = 1;
const MAX_REPLY_LENGTH = 64 * 1024;
/** A person has to find and touch the key. */
const TOUCH_TIMEOUT_MS = 60_000;

const helperPaths = [
  '/usr/lib/openssh/ssh-sk-helper',
  '/usr/libexec/openssh/ssh-sk-helper',
  '/usr/libexec/ssh-sk-helper',
  '/usr/lib/ssh/ssh-sk-helper',
  '/opt/homebrew/opt/openssh/libexec/ssh-sk-helper',
];

export class SecurityKeyError extends Error {
  override readonly name = 'SecurityKeyError';
  readonly code: 'no-helper' | 'helper-failed';
  constructor(code: 'no-helper' | 'helper-failed', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** In SSH encoding. @throws SecurityKeyError, FormatError */
export async function signWithSecurityKey(
  { key, provider }: SecurityKeySigner,
  data: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const reader = new WireReader(await runHelper(encodeSignMessage(key, provider, data), signal));
  if (reader.uint32() > MAX_REPLY_LENGTH) throw new FormatError('too-large', 'the reply of ssh-sk-helper is too long');
  if (reader.byte() !== HELPER_VERSION)
    throw new SecurityKeyError('helper-failed', 'ssh-sk-helper speaks another version');
  if (reader.uint32() !== HELPER_SIGN) throw new SecurityKeyError('helper-failed', 'the security key did not sign');
  const signature = reader.string(MAX_SIGNATURE_LENGTH);
  reader.end();
  return signature;
}

function encodeSignMessage(key: SecurityKeySigner['key'], provider: string, data: Uint8Array): Uint8Array {
  const keyWriter = new WireWriter();
  writePrivateKeyFields(key, keyWriter);
  const message = new WireWriter()
    .byte(HELPER_VERSION)
    .uint32(HELPER_SIGN)
    .byte(0) // log to standard error: no
    .uint32(LOG_LEVEL_ERROR)
    .string(keyWriter.finish())
    .string(provider)
    .string(data)
    .string('') // algorithm: the key's own
    .uint32(0) // compatibility flags
    .string('') // PIN
    .finish();
  return new WireWriter(message.length + 4).string(message).finish();
}

async function runHelper(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const path = process.env['SSH_SK_HELPER'] ?? helperPaths.find((each) => existsSync(each));
  if (path === undefined) throw new SecurityKeyError('no-helper', 'ssh-sk-helper of OpenSSH is not installed');
  const child = spawn(path, [], {
    stdio: ['pipe', 'pipe', 'ignore'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(TOUCH_TIMEOUT_MS)]),
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(new SecurityKeyError('helper-failed', 'ssh-sk-helper failed', { cause })));
  });
  child.stdin.on('error', () => undefined); // a helper that ends early shows as an empty reply
  child.stdin.end(message);
  return Promise.race([readableBytes(child.stdout, MAX_REPLY_LENGTH), failed]);
}
