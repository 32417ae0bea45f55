/** The agent's state in words, for `countersign status`. */
import type { ControlIdentity, ControlSshConfig, ControlState } from '#protocol/control.ts';
import { formatDuration } from './duration-text.ts';
import { formatSignIn } from './sign-in-text.ts';
import { promptText } from './prompt-text.ts';

/** @param now epoch milliseconds */
export function formatStatus(state: ControlState, now: number): string {
  const { identities, questions, upstreams, protection, sshConfig } = state;
  return [
    `Agent ${state.version}, process ${state.pid}, at ${state.socket}${state.locked ? ', locked' : ''}`,
    ...section(
      'Identities',
      identities.map((each) => formatIdentity(each, now)),
      state.locked ? 'locked away' : 'none',
    ),
    ...formatSignIn(state.signIn, now),
    ...(sshConfig === undefined ? [] : formatSshConfig(sshConfig, now)),
    ...section(
      'Other agents',
      upstreams.map((each) => `${each.name}: ${each.health}, ${each.socket}`),
      'none',
    ),
    ...section(
      'Waiting for your consent',
      questions.map((each) => `${each.id}: ${promptText(each)}`),
      'nothing',
    ),
    `Protection: peer user ${yesNo(protection.peerUserChecked, 'checked', 'not checked (file mode only)')}, core dumps ${yesNo(protection.coreDumpsOff, 'off', 'not off')}, memory ${yesNo(protection.memoryHidden, 'hidden from other processes', 'not hidden')}`,
    '',
  ].join('\n');
}

function formatSshConfig({ refreshedAt, changedAt, remarks, failure }: ControlSshConfig, now: number): string[] {
  const ago = (at: number): string => `${formatDuration(now - at)} ago`;
  const asked = refreshedAt === undefined ? 'the CA was not asked yet' : `the CA was asked ${ago(refreshedAt)}`;
  const changed = changedAt === undefined ? '' : `, changed ${ago(changedAt)}`;
  return [
    `Keys and revocations for ssh: ${asked}${changed}`,
    ...remarks.map((remark) => `  ${remark}`),
    ...(failure === undefined ? [] : [`  last attempt failed: ${failure.message} [${failure.code}]`]),
  ];
}

function formatIdentity({ fingerprint, kind, comment, certificate, ...rest }: ControlIdentity, now: number): string {
  const uses = [
    ...(rest.confirm ? ['asks at each use'] : []),
    ...(rest.destinations.length > 0 ? [`only for ${rest.destinations.join(', ')}`] : []),
    ...(rest.endsAt === undefined ? [] : [`ends in ${formatDuration(rest.endsAt - now)}`]),
  ];
  const named = certificate === undefined ? '' : ` "${certificate.keyId}" for ${certificate.principals.join(', ')}`;
  return `${kind} ${fingerprint} ${comment}${named}${uses.length > 0 ? ` (${uses.join('; ')})` : ''}`;
}

function section(title: string, lines: readonly string[], empty: string): string[] {
  return lines.length === 0
    ? [`${title}: ${empty}`]
    : [`${title}:`, ...lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`)];
}

function yesNo(value: boolean, yes: string, no: string): string {
  return value ? yes : no;
}
