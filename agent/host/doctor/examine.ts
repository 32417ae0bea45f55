/** All checks of `countersign doctor` for a host, in the order in which one depends on the other. Changes nothing. */
import { Clock } from '../../clock/clock.ts';
import { openClock } from '../../clock/clock-record.ts';
import { type Authority, readAuthority } from '../../state/authority.ts';
import { checkStateDirectory } from '../../state/state-directory.ts';
import { type HostContext, type HostPlaces, openHost } from '../host-context.ts';
import { checkCa } from './ca-checks.ts';
import { checkCertificates } from './certificate-checks.ts';
import { findingOf } from './failure-finding.ts';
import { type Finding, fail, ok } from './finding.ts';
import { checkNames } from './name-checks.ts';
import { checkSshd } from './sshd-checks.ts';

export async function examineHost(places: HostPlaces): Promise<Finding[]> {
  const trust = await readTrust(places.stateDirectory);
  const { authority } = trust;
  const clock = authority === undefined ? new Clock() : await openClock(places.stateDirectory, authority);
  const ca = authority === undefined ? [] : await checkCa(authority, clock);
  return [...trust.findings, ...ca, ...(await examineMachine(places, authority, clock))];
}

interface Trust {
  readonly authority: Authority | undefined;
  readonly findings: readonly Finding[];
}

async function readTrust(stateDirectory: string): Promise<Trust> {
  try {
    const there = await checkStateDirectory(stateDirectory);
    const authority = there ? await readAuthority(stateDirectory) : undefined;
    if (authority === undefined) return { authority, findings: [notPinned()] };
    return { authority, findings: [ok('trust', `${authority.url} is trusted (${stateDirectory})`)] };
  } catch (error) {
    return { authority: undefined, findings: [findingOf('trust', error, 'Run: countersign bootstrap')] };
  }
}

function notPinned(): Finding {
  return fail('trust', 'no CA is trusted yet', 'Run: countersign bootstrap --ca https://CA --fingerprint HEX');
}

async function examineMachine(places: HostPlaces, authority: Authority | undefined, clock: Clock): Promise<Finding[]> {
  const context = await openOrFinding(places);
  if ('check' in context) return [context];
  const sshd = await checkSshd(context, authority);
  if (authority === undefined) return [...sshd, ...(await checkNames(context, undefined))];
  try {
    const { status, findings } = await checkCertificates(context, authority, clock.now());
    return [...sshd, ...(await checkNames(context, status?.record)), ...findings];
  } catch (error) {
    return [...sshd, findingOf('certificate', error, 'Run: countersign host enroll')];
  }
}

async function openOrFinding(places: HostPlaces): Promise<HostContext | Finding> {
  try {
    return await openHost(places);
  } catch (error) {
    return findingOf('sshd', error, 'Name sshd with --sshd and --sshd-config.');
  }
}
