import { describe, expect, test } from 'vitest';
import { type ReloadFacts, chooseReload } from '#agent/host/reload-choice.ts';

const sshd = { pid: 71, name: 'sshd', unit: 'ssh.service' };
const systemd = { pid: 1, name: 'systemd', unit: undefined };
const facts: ReloadFacts = {
  command: undefined,
  listeners: [sshd],
  fromPidFile: undefined,
  systemdRuns: true,
  ports: [22],
};

describe('chooseReload', () => {
  test.each<[string, Partial<ReloadFacts>, object]>([
    ['through systemd, where systemd runs sshd', {}, { kind: 'systemd', unit: 'ssh.service' }],
    [
      'under the name of other distributions too',
      { listeners: [{ ...sshd, unit: 'sshd.service' }] },
      { unit: 'sshd.service' },
    ],
    [
      'where systemd holds the socket beside sshd',
      { listeners: [systemd, sshd] },
      { kind: 'systemd', unit: 'ssh.service' },
    ],
    ['by signal without systemd', { systemdRuns: false }, { kind: 'signal', pid: 71 }],
    [
      'by signal in a unit that may hold more',
      { listeners: [{ ...sshd, unit: 'app.service' }] },
      { kind: 'signal', pid: 71 },
    ],
    ['by signal outside any unit', { listeners: [{ ...sshd, unit: undefined }] }, { kind: 'signal', pid: 71 }],
    [
      'by PID file where /proc does not tell',
      { listeners: [], fromPidFile: { ...sshd, unit: undefined } },
      { pid: 71 },
    ],
    ['not at all where systemd alone listens', { listeners: [systemd] }, { kind: 'none' }],
    [
      'by the command that was given',
      { command: ' rc-service  sshd reload ' },
      { command: ['rc-service', 'sshd', 'reload'] },
    ],
  ])('%s', (_, difference, method) => {
    expect(chooseReload({ ...facts, ...difference })).toMatchObject(method);
  });

  test.each<[string, Partial<ReloadFacts>]>([
    ['nobody listens', { listeners: [] }],
    ['somebody else listens', { listeners: [{ pid: 9, name: 'dropbear', unit: undefined }] }],
    ['the command is empty', { command: '  ' }],
  ])('refuses when %s', (_, difference) => {
    expect(() => chooseReload({ ...facts, ...difference })).toThrow(
      expect.objectContaining({ name: 'HostError', code: 'reload-failed' }),
    );
  });
});
