/** What `countersign status` says of sign-ins. */
import { expect, test } from 'vitest';
import type { ControlSignInState } from '#protocol/control.ts';
import { formatSignIn } from '#agent/user/sign-in-text.ts';

const now = 1_800_000_000_000;
const none: ControlSignInState = {
  whenAsked: 'ask',
  keychain: { kind: 'unused' },
  sessions: [],
  signIns: [],
  needed: [],
};

test('nobody', () => {
  expect(formatSignIn(none, now)).toEqual(['Signed in: no']);
});

test('a session: who, until when, how and when it is renewed, what went wrong, and that memory is all there is', () => {
  const lines = formatSignIn(
    {
      ...none,
      keychain: { kind: 'memory', reason: 'no keychain here' },
      sessions: [
        {
          id: 'a-session',
          ca: 'https://ca.example.com',
          provisioner: 'corp',
          signedInAt: now,
          certificate: {
            keyId: 'alice@example.com via corp',
            serial: '7',
            principals: ['alice', 'root'],
            fingerprint: `SHA256:${'a'.repeat(43)}`,
            validAfter: now,
            expiresAt: now + 5_400_000,
          },
          renewal: {
            way: 'refresh-token',
            plannedAt: now + 60_000,
            failure: { code: 'provider-unreachable', message: 'it does not answer' },
            failedAt: now,
          },
          refreshToken: 'memory',
        },
      ],
    },
    now,
  );
  expect(lines).toEqual([
    'Signed in:',
    '  corp at https://ca.example.com: "alice@example.com via corp" for alice, root, valid for 1h 30m',
    '    renewed by the refresh token in 1m; refresh token in memory',
    '    last attempt failed: it does not answer [provider-unreachable]',
    '  memory only, lost when the agent ends: no keychain here',
  ]);
});

test('a sign-in under way, and one that is needed, with what to do', () => {
  const lines = formatSignIn(
    {
      ...none,
      signIns: [
        {
          id: 'a-sign-in',
          startedAt: now,
          deadline: now + 1,
          startedBy: 'ssh',
          phase: 'waiting',
          url: 'https://idp.example.com/device',
          code: 'ABCD',
        },
      ],
      needed: [{ since: now - 120_000, reason: 'ended', provisioner: 'corp' }],
    },
    now,
  );
  expect(lines).toEqual([
    'Signed in: no',
    'Sign-in under way: open https://idp.example.com/device and enter the code ABCD',
    'Sign-in needed: the certificate has ended and cannot be renewed without you (2m ago)',
    "  Sign in with: countersign login --provisioner 'corp'",
  ]);
});
