/**
 * Certificates that the CA handed out, kept in the state directory before they are installed: an install that failed is repeated
 * with the same certificate, since the CA enrols a key only once. Public data.
 */
import { hash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { systemErrorCode } from '../failure.ts';
import { writeDurably } from '../state/durable-file.ts';
import { unusable } from '../state/state-directory.ts';
import { hostDirectory } from './host-record.ts';

export async function storeIssued(stateDirectory: string, key: Fingerprint, certificate: Certificate): Promise<void> {
  const path = issuedPath(stateDirectory, key);
  try {
    await mkdir(issuedDirectory(stateDirectory), { recursive: true, mode: 0o700 });
    await writeDurably(path, certificate.blob, 0o600);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** @returns undefined when there is none that can be read */
export async function readIssued(stateDirectory: string, key: Fingerprint): Promise<Certificate | undefined> {
  try {
    return decodeCertificate(await readFile(issuedPath(stateDirectory, key)));
  } catch (error) {
    if (error instanceof FormatError || systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function issuedDirectory(stateDirectory: string): string {
  return join(hostDirectory(stateDirectory), 'issued');
}

function issuedPath(stateDirectory: string, key: Fingerprint): string {
  return join(issuedDirectory(stateDirectory), `${hash('sha256', key, 'hex').slice(0, 32)}.cert`);
}
