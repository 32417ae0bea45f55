/**
 * Has sshd use what was taken over: the file of user CA keys, and the line that names the KRL. One transaction with a reload, as at
 * enrolment; a KRL that only changed needs none, since sshd reads it at each login. Does I/O.
 */
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { type EnrolmentPlan, installCertificates } from '../enrol-host.ts';
import { type HostPlaces, openHost } from '../host-context.ts';
import type { HostRecord } from '../host-record.ts';
import type { ActivateOptions } from '../install.ts';
import { choiceOf, findInstallSite } from '../install-site.ts';
import { readKeyLines } from '../key-lines.ts';
import { findReloadMethod } from '../reload.ts';

/** Whether the files say what is to be said. Cheap: asked at each look. @param hasKrl a KRL is in place for sshd */
export async function isFollowedInstalled(record: HostRecord, authority: Authority, hasKrl: boolean): Promise<boolean> {
  if (hasKrl !== ((record.revokedKeys ?? null) !== null)) return false;
  if (record.userTrust === null) return true;
  const installed = await readKeyLines(record.userTrust).catch(() => []);
  return fingerprintsOf(installed).symmetricDifference(fingerprintsOf(authority.userCaKeys)).size === 0;
}

/** @returns false when sshd's configuration leaves nothing to do @throws HostError; the old state stands then */
export async function installFollowed(
  places: HostPlaces,
  authority: Authority,
  record: HostRecord,
  hooks: Pick<ActivateOptions, 'onStep' | 'onActivation' | 'signal'>,
): Promise<boolean> {
  const context = await openHost(places);
  const site = await findInstallSite(context, authority, [], choiceOf(record));
  const identity = { names: [], addresses: [], remarks: [] };
  const reload = await findReloadMethod(context.settings, context.reload);
  const plan: EnrolmentPlan = { identity, port: 22, keys: [], ownKeys: [], site, reload, remarks: [] };
  const { changed } = await installCertificates(context, authority, plan, [], hooks);
  return changed;
}
