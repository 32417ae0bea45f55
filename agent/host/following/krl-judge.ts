/**
 * Has OpenSSH itself read a KRL before sshd gets it: an sshd that is older than a feature of the format would refuse every key. Asked
 * about a key that was made a moment ago, so nobody can have revoked it. Does I/O.
 */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { constants } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { siblingPath, writeFlushed } from '../../state/durable-file.ts';
import { hostDirectory } from '../host-record.ts';

const TIMEOUT_MS = 60_000;
const usualDirectories = ['/usr/bin', '/usr/local/bin', '/bin', '/run/current-system/sw/bin', '/opt/homebrew/bin'];

export type OpensshVerdict = 'accepted' | 'refused' | 'not-asked';

/** `not-asked` where there is no ssh-keygen. @throws system errors */
export async function askOpenssh(stateDirectory: string, krl: Uint8Array): Promise<OpensshVerdict> {
  const program = await findKeygen();
  if (program === undefined) return 'not-asked';
  const [krlPath, keyPath] = [candidate(stateDirectory, 'krl'), candidate(stateDirectory, 'key.pub')];
  try {
    await writeFlushed(krlPath, krl, 0o600);
    await writeFlushed(keyPath, `${formatPublicKeyLine(freshKey())}\n`, 0o600);
    return (await succeeds(program, ['-Q', '-f', krlPath, keyPath])) ? 'accepted' : 'refused';
  } finally {
    await Promise.all([krlPath, keyPath].map(async (path) => rm(path, { force: true })));
  }
}

/** Of a name that the next command takes away, should this one be killed. */
function candidate(stateDirectory: string, name: string): string {
  return siblingPath(join(hostDirectory(stateDirectory), name), 'new');
}

function freshKey() {
  return publicKeyFromObject(generateKeyPairSync('ed25519').publicKey);
}

async function findKeygen(): Promise<string | undefined> {
  const fromPath = (process.env.PATH ?? '').split(delimiter).filter(isAbsolute);
  for (const directory of [...usualDirectories, ...fromPath]) {
    const program = join(directory, 'ssh-keygen');
    const found = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return program;
  }
  return undefined;
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((done) => {
    execFile(program, args, { env: { LC_ALL: 'C' }, timeout: TIMEOUT_MS }, (error) => done(error === null));
  });
}
