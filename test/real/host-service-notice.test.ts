/** What systemd hears from `countersign host run`: a receiver in its place that also asks the kernel who sent each datagram. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { startRenewalHost } from './host-renewal-fixture.ts';

const receiver = `
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(sys.argv[1])
print('"ready"', flush=True)
while True:
    data, control, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(12))
    pid = struct.unpack('iII', control[0][2][:12])[0]
    print(json.dumps({'pid': pid, 'text': data.decode()}), flush=True)
`;

/** For a busy machine. */
const PATIENCE_SECONDS = 150;

interface Notice {
  readonly pid: number;
  readonly text: string;
}

function noticesTo(systemd: LabProcess): Notice[] {
  const lines = systemd.stdout().split('\n').slice(1, -1);
  return lines.map((line) => JSON.parse(line) as Notice);
}

test('is ready, alive and at its end, by its own mouth', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost();
  const socket = join(host.lab.directory, 'notify');
  await using systemd = startProcess(['python3', '-c', receiver, socket]);
  await systemd.until((one) => one.stdout().startsWith('"ready"\n'));
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '500000' };
  await using daemon = startProcess([...agentProgram(), 'host', 'run', '--json', ...host.places], { env });

  const texts = () => noticesTo(systemd).map(({ text }) => text);
  await systemd.until(() => texts().filter((text) => text === 'WATCHDOG=1').length >= 4, PATIENCE_SECONDS);
  await systemd.until(() => texts().some((text) => text.startsWith('STATUS=1 certificate')), PATIENCE_SECONDS);
  expect(texts()).toContain('READY=1\nSTATUS=started');
  expect(texts().filter((text) => text.includes('STOPPING'))).toEqual([]);

  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  await systemd.until(() => texts().some((text) => text.startsWith('STOPPING=1\n')));
  expect(texts().find((text) => text.startsWith('STOPPING=1\n'))).toMatch(/^EXTEND_TIMEOUT_USEC=\d+$/m);
  expect(new Set(noticesTo(systemd).map(({ pid }) => pid))).toEqual(new Set([daemon.pid]));
});
