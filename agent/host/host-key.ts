/**
 * The host keys of an sshd, from the paths in its configuration: read from their files, or signed with through the HostKeyAgent
 * where sshd does so too. The private half never leaves this file.
 */
import { readFile } from 'node:fs/promises';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type SignatureAlgorithm, keyTypes } from '#openssh/key-type.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { type PublicKey, encodePublicKey, parsePublicKeyLine } from '#openssh/public-key.ts';
import { type Signature, signWithKeyObject } from '#openssh/signature.ts';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { signWithAgent } from './host-key-agent.ts';
import type { SshdSettings } from './sshd-settings.ts';

export interface HostKey {
  /** As `HostKey` names it in the configuration. */
  readonly path: string;
  readonly publicKey: PublicKey;
  readonly blob: Uint8Array;
  readonly fingerprint: Fingerprint;
  /** Who holds the private half. */
  readonly holder: 'file' | 'agent';
  /** @param algorithm default: the strongest that keys of this type make @throws HostError `key-unusable` */
  sign(data: Uint8Array, algorithm?: SignatureAlgorithm): Promise<Signature>;
}

/** A configured key that cannot be enrolled, and why: words for a person. */
export interface UnusableKey {
  readonly path: string;
  readonly reason: string;
}

export interface HostKeys {
  readonly keys: readonly HostKey[];
  readonly unusable: readonly UnusableKey[];
}

/** Reads every configured key; one that cannot be read does not hide the others. */
export async function readHostKeys(settings: SshdSettings, env: NodeJS.ProcessEnv = process.env): Promise<HostKeys> {
  const socket = agentSocket(settings.hostKeyAgent, env);
  const results = await Promise.all(settings.hostKeys.map(async (path) => readHostKey(path, socket)));
  return {
    keys: results.filter((result): result is HostKey => 'blob' in result),
    unusable: results.filter((result): result is UnusableKey => 'reason' in result),
  };
}

async function readHostKey(path: string, socket: string | undefined): Promise<HostKey | UnusableKey> {
  const fromFile = await readPrivateKey(path);
  if ('blob' in fromFile || socket === undefined) return fromFile;
  return (await readAgentKey(path, socket)) ?? fromFile;
}

async function readPrivateKey(path: string): Promise<HostKey | UnusableKey> {
  try {
    const { privateKey, publicKey } = parseSoftwareKey(await readFile(path));
    const [strongest] = keyTypes[publicKey.type].signatureAlgorithms;
    const sign = async (data: Uint8Array, algorithm: SignatureAlgorithm = strongest) =>
      Promise.resolve(signWithKeyObject(privateKey, algorithm, data));
    return { ...describe(path, publicKey), holder: 'file', sign };
  } catch (error) {
    return { path, reason: reasonOf(error) };
  }
}

/** sshd takes `PATH` itself as a public key, or `PATH.pub`, and asks its agent for signatures. */
async function readAgentKey(path: string, socket: string): Promise<HostKey | undefined> {
  for (const candidate of [path, `${path}.pub`]) {
    const publicKey = await readPublicKey(candidate);
    if (publicKey === undefined) continue;
    const sign = async (data: Uint8Array, algorithm?: SignatureAlgorithm) =>
      signWithAgent(socket, publicKey, data, algorithm);
    return { ...describe(path, publicKey), holder: 'agent', sign };
  }
  return undefined;
}

async function readPublicKey(path: string): Promise<PublicKey | undefined> {
  try {
    return parsePublicKeyLine(await readFile(path, 'utf8')).key;
  } catch (error) {
    if (error instanceof FormatError || systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}

function describe(path: string, publicKey: PublicKey): Pick<HostKey, 'path' | 'publicKey' | 'blob' | 'fingerprint'> {
  const blob = encodePublicKey(publicKey);
  return { path, publicKey, blob, fingerprint: fingerprintOf(blob) };
}

/** `HostKeyAgent SSH_AUTH_SOCK` names the variable, as in sshd_config(5). */
function agentSocket(value: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return value === 'SSH_AUTH_SOCK' ? env.SSH_AUTH_SOCK : value;
}

function reasonOf(error: unknown): string {
  if (error instanceof FormatError) return error.message;
  if (systemErrorCode(error) === undefined) throw error;
  return systemErrorReason(error);
}

/** Where the certificate of a key belongs: beside it, by OpenSSH's own convention. */
export function certificatePathOf(keyPath: string): string {
  return `${keyPath.replace(/\.pub$/, '')}-cert.pub`;
}
