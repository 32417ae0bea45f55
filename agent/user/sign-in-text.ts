/** The sign-ins of the agent in words, for `countersign status`. Pure. */
import type {
  ControlFailure,
  ControlSession,
  ControlSignIn,
  ControlSignInNeed,
  ControlSignInState,
} from '#protocol/control.ts';
import { formatDuration } from './duration-text.ts';

/** @param now epoch milliseconds */
export function formatSignIn(state: ControlSignInState, now: number): string[] {
  const { sessions, signIns, needed, keychain } = state;
  const kept = sessions.some(({ refreshToken }) => refreshToken !== 'none');
  return [
    sessions.length === 0 ? 'Signed in: no' : 'Signed in:',
    ...sessions.flatMap((each) => formatSession(each, now)),
    ...(keychain.kind === 'memory' && kept
      ? [`  memory only, lost when the agent ends: ${keychain.reason ?? 'no keychain is used'}`]
      : []),
    ...signIns.filter(({ phase }) => phase === 'starting' || phase === 'waiting').map(formatAttempt),
    ...needed.flatMap((each) => formatNeed(each, now)),
  ];
}

function formatSession({ provisioner, ca, certificate, renewal, refreshToken }: ControlSession, now: number): string[] {
  const until =
    certificate === undefined
      ? 'no certificate yet'
      : certificate.expiresAt > now
        ? `valid for ${formatDuration(certificate.expiresAt - now)}`
        : `ended ${formatDuration(now - certificate.expiresAt)} ago`;
  const who = certificate === undefined ? '' : ` "${certificate.keyId}" for ${certificate.principals.join(', ')},`;
  return [
    `  ${provisioner} at ${ca}:${who} ${until}`,
    `    ${renewalText(renewal, now)}${refreshToken === 'none' ? '' : `; refresh token in ${refreshToken === 'keychain' ? 'the keychain' : 'memory'}`}`,
    ...failureLines(renewal.failure, '    last attempt failed: '),
  ];
}

function renewalText({ way, plannedAt }: ControlSession['renewal'], now: number): string {
  if (way === 'none') return 'cannot be renewed without you';
  const how = way === 'refresh-token' ? 'by the refresh token' : 'by its key';
  if (plannedAt === undefined) return `renewed ${how}`;
  return plannedAt <= now ? `renewed ${how} now` : `renewed ${how} in ${formatDuration(plannedAt - now)}`;
}

function formatAttempt({ url, code }: ControlSignIn): string {
  if (url === undefined) return 'Sign-in under way';
  return `Sign-in under way: open ${url}${code === undefined ? '' : ` and enter the code ${code}`}`;
}

const reasons: Readonly<Record<ControlSignInNeed['reason'], string>> = {
  asked: 'ssh asked for a certificate and found none',
  ending: 'the certificate ends soon and cannot be renewed without you',
  ended: 'the certificate has ended and cannot be renewed without you',
};

function formatNeed({ reason, provisioner, failure, since }: ControlSignInNeed, now: number): string[] {
  const named = provisioner === undefined ? '' : ` --provisioner '${provisioner}'`;
  return [
    `Sign-in needed: ${reasons[reason]} (${formatDuration(now - since)} ago)`,
    ...failureLines(failure, '  '),
    `  Sign in with: countersign login${named}`,
  ];
}

function failureLines(failure: ControlFailure | undefined, start: string): string[] {
  return failure === undefined ? [] : [`${start}${failure.message} [${failure.code}]`];
}
