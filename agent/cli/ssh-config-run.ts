/** `countersign ssh-config`: what it does. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { requireAuthority, writeAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { defaultSocketPath } from '../user/socket-path.ts';
import { refreshSshConfig } from '../user/ssh-config/refresh.ts';
import {
  installSshConfig,
  readPresent,
  removeSshConfig,
  sshConfigPlaces,
} from '../user/ssh-config/ssh-config-files.ts';
import type { Choices } from '../user/ssh-config/ssh-config-text.ts';
import { findWantedFiles } from '../user/ssh-config/wanted-files.ts';
import { catchInterrupts } from './interrupt.ts';
import type { SshConfigAction, SshConfigOptions } from './ssh-config.ts';

/** @throws SshConfigError, StateError, CaError */
export async function runSshConfig(action: SshConfigAction, options: SshConfigOptions): Promise<void> {
  const places = sshConfigPlaces(resolve(options.sshDir ?? join(homedir(), '.ssh')));
  if (action === 'remove') return tell('Removed or put back', await removeSshConfig(places));
  const stateDirectory = stateDirectoryPath(options.stateDir);
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  if (action === 'refresh') {
    const { changed, remarks } = await refreshSshConfig(places, stateDirectory, { signal });
    note(remarks);
    return tell('Wrote', changed);
  }
  const present = await readPresent(places);
  const known = await requireAuthority(stateDirectory);
  const wish = { places, present, choices: choicesOf(options), stateDirectory, authority: known, signal };
  const { files, authority, remarks } = await findWantedFiles(wish);
  note(remarks);
  if (action === 'print') {
    process.stdout.write(`# ${places.include}\n${files.include}\n# ${places.knownHosts}\n${files.knownHosts}`);
    return;
  }
  const changed = await installSshConfig(places, files);
  if (authority !== known) await writeAuthority(stateDirectory, authority);
  tell('Wrote', changed);
}

function note(remarks: readonly string[]): void {
  for (const remark of remarks) process.stderr.write(`note: ${remark}\n`);
}

function choicesOf({ hosts, socket }: SshConfigOptions): Choices {
  return { hosts: hosts ?? ['*'], agentSocket: socket === undefined ? defaultSocketPath() : resolve(socket) };
}

function tell(what: string, paths: readonly string[]): void {
  process.stdout.write(
    paths.length === 0 ? 'Nothing to change.\n' : `${what}:\n${paths.map((path) => `  ${path}\n`).join('')}`,
  );
}
