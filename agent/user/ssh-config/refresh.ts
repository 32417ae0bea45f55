/** Asks the CA again and brings what `ssh-config install` wrote up to date; never where nothing is installed. Does I/O. */
import type { CaClientOptions } from '../../ca/ca-client.ts';
import { requireAuthority, writeAuthority } from '../../state/authority.ts';
import { SshConfigError } from './ssh-config-error.ts';
import { type PresentFiles, type SshConfigPlaces, installSshConfig, readPresent } from './ssh-config-files.ts';
import { type Choices, readChoices } from './ssh-config-text.ts';
import { findWantedFiles } from './wanted-files.ts';

export interface Refreshed {
  /** False when the CA was out of reach. */
  readonly reached: boolean;
  /** Paths. */
  readonly changed: readonly string[];
  /** Why something stays as it was. */
  readonly remarks: readonly string[];
}

/** @throws SshConfigError `not-installed`, StateError, CaError, and the reason of an abort */
export async function refreshSshConfig(
  places: SshConfigPlaces,
  stateDirectory: string,
  options: Pick<CaClientOptions, 'signal'>,
): Promise<Refreshed> {
  const present = await readPresent(places);
  const choices = requireInstalled(present);
  const known = await requireAuthority(stateDirectory);
  const wish = { places, present, choices, stateDirectory, authority: known, ...options };
  const { files, authority, reached, remarks } = await findWantedFiles(wish);
  requireInstalled(await readPresent(places)); // it may have been removed while the CA was asked
  const changed = await installSshConfig(places, files);
  if (authority !== known) await writeAuthority(stateDirectory, authority);
  return { reached, changed, remarks };
}

function requireInstalled(present: PresentFiles): Choices {
  const choices = installedChoices(present);
  if (choices !== undefined) return choices;
  throw new SshConfigError('not-installed', 'there is nothing of countersign in the ssh configuration to refresh', {
    advice: 'Run: countersign ssh-config install',
  });
}

/** What was installed; undefined when nothing was. */
export function installedChoices({ include, knownHosts }: PresentFiles): Choices | undefined {
  return include === undefined || knownHosts === undefined ? undefined : readChoices(include, knownHosts);
}
