/**
 * Sign in once, then nothing: the session of the agent against a real OpenID provider with rotating refresh tokens, the real CA, and an sshd
 * that has `TrustedUserCAKeys` alone.
 */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renewSessions } from '#agent/control/control-client.ts';
import { controlSocketOf } from '#agent/user/socket-path.ts';
import { startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import {
  type Door,
  type SessionStage,
  openDoor,
  openSessionStage,
  patience,
  serialOf,
  signInAs,
  startSessionAgent,
  stateOf,
} from './login-session-fixture.ts';

let stage: SessionStage;
let door: Door;

beforeAll(async () => {
  stage = await openSessionStage();
  door = await openDoor(stage);
});
afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

async function renew(socket: string) {
  const { sessions } = await renewSessions(controlSocketOf(socket), {});
  return sessions[0];
}

async function listed(socket: string): Promise<string> {
  return (await execa('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket }, reject: false })).stdout;
}

describe('a session', () => {
  it('renews by a refresh token that changes each time, for the same key, and says so', async () => {
    await using agent = await startTestAgent();
    await signInAs(stage, 'alice', agent.socket);
    const [before] = (await stateOf(agent.socket)).signIn.sessions;
    expect(before).toMatchObject({ provisioner: 'corp', renewal: { way: 'refresh-token' }, refreshToken: 'memory' });
    const first = stage.given.at(-1) ?? '';
    expect(await stage.isActive(first)).toBe(true);

    const { status, stdout } = await runAgent(['renew', '--socket', agent.socket]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^corp: renewed, until 20\d\d-/)]);
    const [after] = (await stateOf(agent.socket)).signIn.sessions;
    expect(after?.certificate?.serial).not.toBe(before?.certificate?.serial);
    expect(after?.certificate?.fingerprint).toBe(before?.certificate?.fingerprint);
    expect([await stage.isActive(first), await stage.isActive(stage.given.at(-1) ?? '')]).toEqual([false, true]);
    expect((await listed(agent.socket)).split('\n')).toHaveLength(1);
    expect((await door.ssh(agent.socket)).stdout).toBe('inside');

    const shown = (await runAgent(['status', '--socket', agent.socket])).stdout;
    expect(shown).toMatch(
      /corp at https:.*valid for .*\n +renewed by the refresh token in .*; refresh token in memory\n/,
    );
    expect(shown).toContain('memory only, lost when the agent ends');
  });

  it('ends at the provider, in the agent and for ssh with logout', async () => {
    await using agent = await startTestAgent();
    await signInAs(stage, 'alice', agent.socket);
    const token = stage.given.at(-1) ?? '';
    const { status, stdout } = await runAgent(['logout', '--socket', agent.socket, ...stage.stateDirectory]);
    expect([status, stdout.split('\n')]).toEqual([
      0,
      [
        'Removed from the agent: 1 certificate with its key.',
        'corp: the refresh token was revoked at the identity provider.',
      ],
    ]);
    expect(await stage.isActive(token)).toBe(false);
    expect(await listed(agent.socket)).toBe('The agent has no identities.');
    expect((await door.ssh(agent.socket)).exitCode).toBe(255);
    expect(await runAgent(['renew', '--socket', agent.socket])).toMatchObject({ status: 1, code: 'no-session' });
  });

  it('ends when its key is taken away with ssh-add', async () => {
    await using agent = await startTestAgent();
    await signInAs(stage, 'alice', agent.socket);
    const token = stage.given.at(-1) ?? '';
    await execa('ssh-add', ['-q', '-D'], { env: { SSH_AUTH_SOCK: agent.socket } });
    await expect.poll(async () => (await stateOf(agent.socket)).signIn.sessions, patience).toEqual([]);
    await expect.poll(async () => stage.isActive(token), patience).toBe(false);
  });

  it('ends with a question when somebody else used its refresh token, and a new sign-in answers it', async () => {
    await using agent = await startTestAgent();
    await signInAs(stage, 'alice', agent.socket);
    const stolen = stage.given.at(-1) ?? '';
    expect(await stage.use(stolen)).toBe(200);
    const { status, stdout } = await runAgent(['renew', '--socket', agent.socket]);
    expect([status, stdout]).toEqual([1, expect.stringContaining('[session-ended]')]);
    expect(await stage.isActive(stage.given.at(-1) ?? '')).toBe(false); // the thief's is dead too
    const { needed, sessions } = (await stateOf(agent.socket)).signIn;
    expect(needed).toMatchObject([{ reason: 'ending', provisioner: 'corp', failure: { code: 'session-ended' } }]);
    expect(sessions).toMatchObject([{ renewal: { way: 'none' }, refreshToken: 'none' }]);
    expect((await runAgent(['status', '--socket', agent.socket])).stdout).toContain('Sign-in needed');

    await signInAs(stage, 'alice', agent.socket);
    expect((await stateOf(agent.socket)).signIn).toMatchObject({ needed: [], sessions: [{ provisioner: 'corp' }] });
  });

  it('outlives a provider that is down for a while', async () => {
    await using agent = await startTestAgent();
    await signInAs(stage, 'alice', agent.socket);
    {
      using _away = stage.idp.goAway();
      expect(await renew(agent.socket)).toMatchObject({ renewed: false, failure: { code: 'provider-unreachable' } });
      const { needed, sessions } = (await stateOf(agent.socket)).signIn;
      expect(needed).toEqual([]); // it will be tried again
      expect(sessions).toMatchObject([
        { renewal: { way: 'refresh-token', failure: { code: 'provider-unreachable' } } },
      ]);
    }
    const back = await renew(agent.socket);
    expect(back, JSON.stringify(back)).toMatchObject({ renewed: true });
    expect((await stateOf(agent.socket)).signIn.sessions[0]?.renewal.failure).toBeUndefined();
  });
});

describe('when ssh asks and nothing is valid', () => {
  it('opens the browser once for all who ask, and they get in', async () => {
    const browser = await stage.browserOf('alice');
    const settings = [
      'when-asked = "browser"',
      'hosts = "all"',
      `browser = ${JSON.stringify(browser)}`,
      'wait = "100s"',
    ];
    await using agent = await startSessionAgent(stage, settings);
    const visits = stage.visits();
    const answers = await Promise.all(Array.from({ length: 5 }, async () => door.ssh(agent.socket)));
    expect(answers.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 5 }, () => 'inside'));
    expect(stage.visits() - visits).toBe(1);
    expect((await stateOf(agent.socket)).signIn).toMatchObject({ needed: [], sessions: [{ provisioner: 'corp' }] });
  });

  it('leaves a question for the person, and does not wait when nobody is there to see it', async () => {
    await using agent = await startSessionAgent(stage, ['hosts = "all"', 'wait = "100s"']);
    expect((await door.ssh(agent.socket)).exitCode).toBe(255);
    const { needed, signIns } = (await stateOf(agent.socket)).signIn;
    expect([needed, signIns]).toMatchObject([[{ reason: 'asked' }], []]);
    await signInAs(stage, 'alice', agent.socket);
    expect((await stateOf(agent.socket)).signIn.needed).toEqual([]);
  });

  it('asks nobody where that is switched off', async () => {
    await using agent = await startSessionAgent(stage, ['when-asked = "off"', 'hosts = "all"']);
    expect((await door.ssh(agent.socket)).exitCode).toBe(255);
    expect((await stateOf(agent.socket)).signIn).toMatchObject({ whenAsked: 'off', needed: [], signIns: [] });
  });
});

it('a sign-in that is stopped with Ctrl-C is over in the agent too', async () => {
  await using agent = await startTestAgent();
  await using login = stage.startLogin(['--no-browser', '--socket', agent.socket]);
  await login.until((each) => each.stderr().includes('Sign in at'));
  expect((await stateOf(agent.socket)).signIn.signIns).toMatchObject([{ phase: 'waiting', flow: 'browser' }]);
  login.signal('SIGINT');
  expect((await login.ended).code).toBe(1);
  await expect
    .poll(async () => (await stateOf(agent.socket)).signIn.signIns, patience)
    .toMatchObject([{ phase: 'failed', failure: { code: 'sign-in-gone' } }]);
  expect(await serialOf(agent.socket)).toBeUndefined();
});
