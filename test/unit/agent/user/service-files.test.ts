import { expect, test } from 'vitest';
import { launchdPlist, systemdUnit } from '#agent/user/service/service-files.ts';
import { isPipePath, windowsPipePath } from '#agent/user/windows-pipe.ts';

test('the systemd unit starts the agent in the foreground, without core dumps', () => {
  const unit = systemdUnit(['/opt/a b/node', 'main.ts']);
  expect(unit).toContain('ExecStart="/opt/a b/node" "main.ts" "agent" "-D"\n');
  for (const line of ['LimitCORE=0', 'UMask=0077', 'WantedBy=default.target']) expect(unit.split('\n')).toContain(line);
});

test('the launchd agent holds one string for each word', () => {
  const plist = launchdPlist(['/Applications/A & B/countersign']);
  expect(plist.match(/<string>.*<\/string>/g)).toEqual([
    '<string>internal.countersign.agent</string>',
    '<string>/Applications/A &amp; B/countersign</string>',
    '<string>agent</string>',
    '<string>-D</string>',
  ]);
});

test.each(['', 'a"b', "a'b", 'a\\b', 'a%h', 'a$b', 'a\nExecStartPre=/bin/evil'])('a path %j is refused', (path) => {
  expect(() => systemdUnit([path])).toThrow(TypeError);
  expect(() => launchdPlist([path])).toThrow(TypeError);
});

test('a pipe is named after the user', () => {
  expect(windowsPipePath('DOMAIN\\me')).toBe('\\\\.\\pipe\\countersign-agent-DOMAIN_me');
  expect([isPipePath(windowsPipePath('me')), isPipePath('/run/agent.sock')]).toEqual([true, false]);
});
