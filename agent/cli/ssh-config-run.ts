/** `countersign ssh-config`: what it does. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { defaultSocketPath } from '../user/socket-path.ts';
import {
  type OwnFiles,
  type SshConfigPlaces,
  installSshConfig,
  removeSshConfig,
  sshConfigPlaces,
} from '../user/ssh-config/ssh-config-files.ts';
import { formatInclude, formatKnownHostsFile } from '../user/ssh-config/ssh-config-text.ts';
import type { SshConfigAction, SshConfigOptions } from './ssh-config.ts';

/** @throws SshConfigError, StateError */
export async function runSshConfig(action: SshConfigAction, options: SshConfigOptions): Promise<void> {
  const places = sshConfigPlaces(resolve(options.sshDir ?? join(homedir(), '.ssh')));
  if (action === 'remove') return tell('Removed or put back', await removeSshConfig(places));
  const files = await ownFiles(places, options);
  if (action === 'install') return tell('Wrote', await installSshConfig(places, files));
  process.stdout.write(`# ${places.include}\n${files.include}\n# ${places.knownHosts}\n${files.knownHosts}`);
}

async function ownFiles({ knownHosts }: SshConfigPlaces, options: SshConfigOptions): Promise<OwnFiles> {
  const { hostCaKeys, url } = await requireAuthority(stateDirectoryPath(options.stateDir));
  const agentSocket = options.socket === undefined ? defaultSocketPath() : resolve(options.socket);
  return {
    include: formatInclude({ agentSocket, knownHosts }),
    knownHosts: formatKnownHostsFile(hostCaKeys, options.hosts ?? ['*'], url),
  };
}

function tell(what: string, paths: readonly string[]): void {
  process.stdout.write(
    paths.length === 0 ? 'Nothing to change.\n' : `${what}:\n${paths.map((path) => `  ${path}\n`).join('')}`,
  );
}
