/** The files in the CA's secrets directory that belong to its device. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../../command-error.ts';

const names = {
  signer: 'hsm-signer.password',
  auditor: 'hsm-auditor.password',
  timekeeper: 'hsm-timekeeper.password',
  timestampKey: 'hsm-timestamp.key',
} as const;

/** Where a secret of the device lies in a CA directory. */
export function secretFile(directory: string, name: keyof typeof names): string {
  return join(directory, 'secrets', names[name]);
}

/** Where the attestations of the CA keys lie; they are no secret. */
export function attestationFile(directory: string): string {
  return join(directory, 'hsm-attestation.pem');
}

/** Refuses when a file is there already: nothing is ever overwritten. Throws {@link CommandError}. */
export function demandNoneOf(files: readonly string[]): void {
  const there = files.find((file) => existsSync(file));
  if (there !== undefined) {
    throw new CommandError(`${there} is there already, from an earlier set-up. Move it away, or choose another name.`);
  }
}

/** Every file that a set-up makes in the CA directory. */
export function secretFilesOf(directory: string): string[] {
  const secrets = (Object.keys(names) as (keyof typeof names)[]).map((name) => secretFile(directory, name));
  return [...secrets, attestationFile(directory)];
}

/** Reads a small text file. Throws {@link CommandError}. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`${file} cannot be read: does it exist, and may this user read it?`, { cause });
  }
}
