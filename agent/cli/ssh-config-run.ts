/** `countersign ssh-config`: what it does. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openClock, rememberClock } from '../clock/clock-record.ts';
import { type Authority, requireAuthority, writeAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { defaultSocketPath } from '../user/socket-path.ts';
import { SshConfigError } from '../user/ssh-config/ssh-config-error.ts';
import {
  type OwnFiles,
  type PresentFiles,
  type SshConfigPlaces,
  installSshConfig,
  readPresent,
  removeSshConfig,
  sshConfigPlaces,
} from '../user/ssh-config/ssh-config-files.ts';
import {
  type Choices,
  formatInclude,
  formatKnownHostsFile,
  namesRevokedKeys,
  readChoices,
} from '../user/ssh-config/ssh-config-text.ts';
import { type Told, askCa } from '../user/ssh-config/told-by-ca.ts';
import { catchInterrupts } from './interrupt.ts';
import type { SshConfigAction, SshConfigOptions } from './ssh-config.ts';

const SYSTEM_CONFIG = '/etc/ssh/ssh_config';

/** @throws SshConfigError, StateError, CaError */
export async function runSshConfig(action: SshConfigAction, options: SshConfigOptions): Promise<void> {
  const places = sshConfigPlaces(resolve(options.sshDir ?? join(homedir(), '.ssh')));
  if (action === 'remove') return tell('Removed or put back', await removeSshConfig(places));
  const present = await readPresent(places);
  const choices = action === 'refresh' ? requireChoices(present) : choicesOf(options);
  const stateDirectory = stateDirectoryPath(options.stateDir);
  const authority = await requireAuthority(stateDirectory);
  const told = await ask(stateDirectory, authority, present);
  const files = await ownFiles(places, choices, present, told);
  if (action === 'print') {
    process.stdout.write(`# ${places.include}\n${files.include}\n# ${places.knownHosts}\n${files.knownHosts}`);
    return;
  }
  const changed = await installSshConfig(places, files);
  if (told.authority !== authority) await writeAuthority(stateDirectory, told.authority);
  tell('Wrote', changed);
}

async function ask(stateDirectory: string, authority: Authority, { revokedKeys }: PresentFiles): Promise<Told> {
  using interrupts = catchInterrupts();
  const clock = await openClock(stateDirectory, authority);
  const anchor = clock.anchor;
  const told = await askCa({ authority, krl: revokedKeys }, clock, { signal: interrupts.signal });
  if (clock.anchor !== anchor) await rememberClock(stateDirectory, clock);
  for (const remark of told.remarks) process.stderr.write(`note: ${remark}\n`);
  return told;
}

async function ownFiles(
  places: SshConfigPlaces,
  { hosts, agentSocket }: Choices,
  { config }: PresentFiles,
  { authority: { hostCaKeys, url }, krl }: Told,
): Promise<OwnFiles> {
  const system = await readFile(SYSTEM_CONFIG, 'latin1').catch(() => '');
  const isForeign = krl !== undefined && (namesRevokedKeys(config) || namesRevokedKeys(system));
  if (isForeign) {
    process.stderr.write(
      'note: RevokedHostKeys is set already and stays: ssh does not learn what the CA revoked unless that line goes\n',
    );
  }
  const revokedKeys = isForeign ? undefined : krl;
  const { knownHosts } = places;
  return {
    include: formatInclude({
      agentSocket,
      knownHosts,
      revokedKeys: revokedKeys === undefined ? undefined : places.revokedKeys,
    }),
    knownHosts: formatKnownHostsFile(hostCaKeys, hosts, url),
    revokedKeys,
  };
}

function choicesOf({ hosts, socket }: SshConfigOptions): Choices {
  return { hosts: hosts ?? ['*'], agentSocket: socket === undefined ? defaultSocketPath() : resolve(socket) };
}

function requireChoices({ include, knownHosts }: PresentFiles): Choices {
  const choices = include === undefined || knownHosts === undefined ? undefined : readChoices(include, knownHosts);
  if (choices !== undefined) return choices;
  throw new SshConfigError('not-installed', 'there is nothing of countersign in the ssh configuration to refresh', {
    advice: 'Run: countersign ssh-config install',
  });
}

function tell(what: string, paths: readonly string[]): void {
  process.stdout.write(
    paths.length === 0 ? 'Nothing to change.\n' : `${what}:\n${paths.map((path) => `  ${path}\n`).join('')}`,
  );
}
