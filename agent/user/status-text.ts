/** The agent's state in words, for `countersign status`. */
import type { ControlIdentity, ControlState } from '#protocol/control.ts';
import { promptText } from './prompt-text.ts';

/** @param now epoch milliseconds */
export function formatStatus(state: ControlState, now: number): string {
  const { identities, questions, upstreams, protection } = state;
  return [
    `Agent ${state.version}, process ${state.pid}, at ${state.socket}${state.locked ? ', locked' : ''}`,
    ...section(
      'Identities',
      identities.map((each) => formatIdentity(each, now)),
      state.locked ? 'locked away' : 'none',
    ),
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

function formatIdentity({ fingerprint, kind, comment, certificate, ...rest }: ControlIdentity, now: number): string {
  const uses = [
    ...(rest.confirm ? ['asks at each use'] : []),
    ...(rest.destinations.length > 0 ? [`only for ${rest.destinations.join(', ')}`] : []),
    ...(rest.endsAt === undefined ? [] : [`ends in ${formatDuration(rest.endsAt - now)}`]),
  ];
  const named = certificate === undefined ? '' : ` "${certificate.keyId}" for ${certificate.principals.join(', ')}`;
  return `${kind} ${fingerprint} ${comment}${named}${uses.length > 0 ? ` (${uses.join('; ')})` : ''}`;
}

/** Two units, e.g. `7h 30m`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

function section(title: string, lines: readonly string[], empty: string): string[] {
  return lines.length === 0
    ? [`${title}: ${empty}`]
    : [`${title}:`, ...lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`)];
}

function yesNo(value: boolean, yes: string, no: string): string {
  return value ? yes : no;
}
