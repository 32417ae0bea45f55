/** The files that ssh is to read, made of what the CA says today; nothing of them is written here. Does I/O: asks the CA, reads the system's configuration. */
import { readFile } from 'node:fs/promises';
import type { CaClientOptions } from '../../ca/ca-client.ts';
import { openClock, rememberClock } from '../../clock/clock-record.ts';
import type { Authority } from '../../state/authority.ts';
import type { OwnFiles, PresentFiles, SshConfigPlaces } from './ssh-config-files.ts';
import { type Choices, formatInclude, formatKnownHostsFile, namesRevokedKeys } from './ssh-config-text.ts';
import { type Told, askCa } from './told-by-ca.ts';

const SYSTEM_CONFIG = '/etc/ssh/ssh_config';

export interface Wish extends Pick<CaClientOptions, 'signal'> {
  readonly places: SshConfigPlaces;
  readonly present: PresentFiles;
  readonly choices: Choices;
  readonly stateDirectory: string;
  readonly authority: Authority;
}

export interface WantedFiles {
  readonly files: OwnFiles;
  /** As it is to be trusted from now on; the same object where nothing changed. */
  readonly authority: Authority;
  /** False when the CA was out of reach. */
  readonly reached: boolean;
  /** Why something stays as it was. */
  readonly remarks: readonly string[];
}

/** @throws SshConfigError, StateError, CaError for statements that are refused, and the reason of an abort */
export async function findWantedFiles(wish: Wish): Promise<WantedFiles> {
  const { places, choices, present } = wish;
  const told = await ask(wish);
  const { authority, krl, reached } = told;
  const system = await readFile(SYSTEM_CONFIG, 'latin1').catch(() => '');
  const isForeign = krl !== undefined && (namesRevokedKeys(present.config) || namesRevokedKeys(system));
  const revokedKeys = isForeign ? undefined : krl;
  const { agentSocket, hosts } = choices;
  const named = revokedKeys === undefined ? undefined : places.revokedKeys;
  const files = {
    include: formatInclude({ agentSocket, knownHosts: places.knownHosts, revokedKeys: named }),
    knownHosts: formatKnownHostsFile(authority.hostCaKeys, hosts, authority.url),
    revokedKeys,
  };
  return { files, authority, reached, remarks: isForeign ? [...told.remarks, FOREIGN] : told.remarks };
}

const FOREIGN =
  'RevokedHostKeys is set already and stays: ssh does not learn what the CA revoked unless that line goes';

async function ask({ stateDirectory, authority, present, signal }: Wish): Promise<Told> {
  const clock = await openClock(stateDirectory, authority);
  const anchor = clock.anchor;
  const told = await askCa({ authority, krl: present.revokedKeys }, clock, signal === undefined ? {} : { signal });
  if (clock.anchor !== anchor) await rememberClock(stateDirectory, clock);
  return told;
}
