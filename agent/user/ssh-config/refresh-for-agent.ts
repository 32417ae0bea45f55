/** What the agent loads to refresh the ssh configuration (`keep-fresh.ts`), once something is installed. Does I/O. */
import { readAuthority } from '../../state/authority.ts';
import { stateDirectoryPath } from '../../state/state-directory.ts';
import { type Refreshed, installedChoices, refreshSshConfig } from './refresh.ts';
import { readPresent, sshConfigPlaces } from './ssh-config-files.ts';
import { installedCa } from './ssh-config-text.ts';

export interface AgentOrder {
  readonly sshDirectory: string;
  readonly socket: string;
  readonly stateDirectory: string | undefined;
  readonly signal: AbortSignal;
}

/** Undefined where what is installed names another agent or another CA, or is gone. @throws SshConfigError, StateError, CaError */
export async function refreshForAgent(order: AgentOrder): Promise<Refreshed | undefined> {
  const places = sshConfigPlaces(order.sshDirectory);
  const present = await readPresent(places);
  const choices = installedChoices(present);
  if (choices?.agentSocket !== order.socket || present.knownHosts === undefined) return undefined;
  const stateDirectory = stateDirectoryPath(order.stateDirectory);
  const authority = await readAuthority(stateDirectory);
  if (authority !== undefined && installedCa(present.knownHosts) !== new URL(authority.url).host) return undefined;
  return refreshSshConfig(places, stateDirectory, { signal: order.signal });
}
