import { describe, expect, test, vi } from 'vitest';
import { interpretArguments } from '#agent/user/agent-arguments.ts';
import { parseAgentConfig } from '#agent/user/agent-config.ts';
import { ConfirmationQueue, MAX_QUESTIONS } from '#agent/user/confirmation-queue.ts';
import { parseLifetime } from '#agent/user/lifetime.ts';
import { matchesPattern } from '#agent/user/pattern.ts';
import { promptText } from '#agent/user/prompt-text.ts';
import { isInPatternList } from '#agent/user/provider-policy.ts';
import { formatKilled, formatVariables, shellKindOf } from '#agent/user/shell-output.ts';
import { formatDuration } from '#agent/user/duration-text.ts';
import { moment } from './agent-fixture.ts';

const code = (name: string): unknown => expect.objectContaining({ name: 'AgentFailure', code: name });

describe('patterns', () => {
  test.each([
    ['alice', 'alice', true],
    ['alice', 'al*', true],
    ['alice', '*', true],
    ['', '*', true],
    ['', '', true],
    ['alice', 'a?ice', true],
    ['alice', 'a?ce', false],
    ['alice', '*c', false],
    ['abcabd', '*ab?', true],
    ['alice', '', false],
    ['alice', 'ALICE', false],
  ])('%j matches %j: %s', (text, pattern, expected) => {
    expect(matchesPattern(text, pattern)).toBe(expected);
  });

  test('a hostile one costs little', () => {
    expect(matchesPattern('a'.repeat(1000), `${'*a'.repeat(127)}b`)).toBe(false);
  });

  test('a list refuses with an exclamation mark', () => {
    expect(isInPatternList('/usr/lib/x.so', '/usr/lib/*,/opt/*')).toBe(true);
    expect(isInPatternList('/usr/lib/x.so', '/usr/lib/*,!*x.so')).toBe(false);
    expect(isInPatternList('/usr/lib/x.so', '')).toBe(false);
  });
});

test.each([
  ['600', 600],
  ['90s', 90],
  ['1h30m', 5400],
  ['1W', 604_800],
  ['2d1', 172_801],
  ['', undefined],
  ['h', undefined],
  ['1x', undefined],
  ['-1', undefined],
  ['9999999999', undefined],
])('lifetime %j is %s', (text, seconds) => {
  expect(parseLifetime(text)).toBe(seconds);
});

describe('shell output', () => {
  test('is what ssh-agent prints', () => {
    expect(formatVariables('sh', '/tmp/a.1', 7)).toBe(
      'SSH_AUTH_SOCK=/tmp/a.1; export SSH_AUTH_SOCK;\nSSH_AGENT_PID=7; export SSH_AGENT_PID;\n',
    );
    expect(formatVariables('csh', '/tmp/a.1', 7)).toBe('setenv SSH_AUTH_SOCK /tmp/a.1;\nsetenv SSH_AGENT_PID 7;\n');
    expect(formatKilled('csh', 7)).toContain('unsetenv SSH_AUTH_SOCK;');
    expect([shellKindOf('/bin/tcsh'), shellKindOf('/bin/bash'), shellKindOf(undefined)]).toEqual(['csh', 'sh', 'sh']);
  });

  test('quotes what a shell would act on', () => {
    expect(formatVariables('sh', "/tmp/a b'$(x)")).toBe(`SSH_AUTH_SOCK='/tmp/a b'\\''$(x)'; export SSH_AUTH_SOCK;\n`);
  });
});

describe('arguments', () => {
  test.each([
    [{}, [], 'daemon'],
    [{ D: true }, [], 'daemon'],
    [{ a: '/x', D: true }, [], 'foreground'],
    [{ a: '/x' }, [], 'background'],
    [{ s: true }, [], 'background'],
    [{ c: true }, [], 'background'],
    [{ k: true }, [], 'kill'],
    [{ a: '/x' }, ['sh'], 'command'],
  ] as const)('%j %j: %s', (options, command, mode) => {
    expect(interpretArguments(options, command, undefined).mode).toBe(mode);
  });

  test('the former agent is passed through by the daemon alone', () => {
    expect(interpretArguments({}, [], undefined).usesFormerAgent).toBe(true);
    expect(interpretArguments({ upstream: false }, [], undefined).usesFormerAgent).toBe(false);
    expect(interpretArguments({ s: true }, [], undefined).usesFormerAgent).toBe(false);
    expect(interpretArguments({ upstream: ['a=/x', '/y'] }, [], undefined).upstreams).toEqual([
      { name: 'a', socket: '/x' },
      { name: '/y', socket: '/y' },
    ]);
  });

  test.each([
    [{ c: true, s: true }, []],
    [{ d: true, D: true }, []],
    [{ s: true }, ['sh']],
    [{ t: 'long' }, []],
  ])('%j %j are refused', (options, command) => {
    expect(() => interpretArguments(options, command, undefined)).toThrow(code('agent-options'));
  });
});

describe('configuration', () => {
  test('is read into seconds and lists', () => {
    const text =
      'lifetime = "12h"\nconfirm-timeout = "30s"\nmax-offered = 5\nupstreams = [{ name = "g", socket = "/s" }]\n';
    expect(parseAgentConfig(text, 'f')).toEqual({
      lifetimeSeconds: 43_200,
      confirmTimeoutSeconds: 30,
      maxOffered: 5,
      upstreams: [{ name: 'g', socket: '/s' }],
      choose: [],
      signIn: { whenAsked: 'ask', hosts: 'certified', waitSeconds: 60, keychain: 'auto' },
    });
  });

  test('of signing in says what happens when ssh asks, and for how long it waits', () => {
    const section =
      '[sign-in]\nwhen-asked = "browser"\nhosts = "all"\nwait = "1m40s"\nkeychain = "off"\nprovisioner = "corp"';
    expect(parseAgentConfig(section, 'f').signIn).toEqual({
      whenAsked: 'browser',
      hosts: 'all',
      waitSeconds: 100,
      keychain: 'off',
      provisioner: 'corp',
    });
    for (const wrong of ['wait = "101s"', 'wait = "0s"', 'when-asked = "yes"', 'open = true'])
      expect(() => parseAgentConfig(`[sign-in]\n${wrong}`, 'f')).toThrow(code('agent-config'));
  });

  test('reports all faults together, unknown keys too', () => {
    try {
      parseAgentConfig('lifetme = "12h"\nmax-offered = 0\nconfirm-timeout = "30"', 'f');
      expect.unreachable();
    } catch (error) {
      expect(error).toEqual(code('agent-config'));
      expect((error as { advice: string }).advice.split('\n').length).toBeGreaterThanOrEqual(3);
    }
    expect(() => parseAgentConfig('= x', 'f')).toThrow(code('agent-config'));
  });
});

describe('the queue of questions', () => {
  const subject = {
    key: { fingerprint: `SHA256:${'a'.repeat(43)}`, kind: 'ED25519', comment: 'me' },
    ...({ purpose: 'login', user: 'alice', forwarded: true } as const),
  };

  test('takes the first answer and no second', () => {
    const settle = vi.fn<(consent: string) => void>();
    const changed = vi.fn<() => void>();
    const queue = new ConfirmationQueue(1000, changed);
    queue.ask('one', subject, moment(), settle);
    expect(queue.questions).toMatchObject([{ id: 'one', deadline: moment(1).epochMs }]);
    expect([queue.answer('two', 'allowed'), queue.answer('one', 'allowed'), queue.answer('one', 'denied')]).toEqual([
      false,
      true,
      false,
    ]);
    expect(settle.mock.calls).toEqual([['allowed']]);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  test('denies at the deadline, and a flood', () => {
    const settle = vi.fn<(consent: string) => void>();
    const queue = new ConfirmationQueue(1000);
    for (let index = 0; index < MAX_QUESTIONS; index++) queue.ask(`q${index}`, subject, moment(), settle);
    expect(queue.msToNextDeadline(moment(0.4))).toBe(600);
    queue.ask('one too many', subject, moment(), settle);
    expect(settle.mock.calls).toEqual([['denied']]);
    queue.expire(moment(0.999));
    expect(queue.questions).toHaveLength(MAX_QUESTIONS);
    queue.expire(moment(1));
    expect(settle).toHaveBeenCalledTimes(MAX_QUESTIONS + 1);
    expect(queue.msToNextDeadline(moment())).toBe(Infinity);
  });

  test('a question in words says who, where and from where', () => {
    const queue = new ConfirmationQueue(1000);
    const host = { fingerprint: `SHA256:${'b'.repeat(43)}`, names: ['db'] };
    const question = queue.ask(
      'one',
      { ...subject, host, program: { pid: 9, name: 'ssh' } },
      moment(),
      () => undefined,
    );
    for (const part of ['me', 'alice', 'db', 'forwarding', 'ssh', 'SHA256:aaa'])
      expect(promptText(question)).toContain(part);
  });
});

test.each([
  [0, '0s'],
  [999, '1s'],
  [61_000, '1m 1s'],
  [3_600_000, '1h'],
  [90_061_000, '1d 1h'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
