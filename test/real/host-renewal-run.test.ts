/** `countersign host run` against the real CA program and a real sshd, with certificates that live for seconds. What mostly waits, waits together. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type RenewalHost, serialOf, startRenewalHost } from './host-renewal-fixture.ts';

interface LogLine {
  readonly event: string;
  readonly level: string;
  readonly code?: string;
}

/** For a busy machine. */
const PATIENCE_SECONDS = 150;
const shortLived = { certificates: { host_lifetime: '8s', backdate: '1s' }, renewal: { allow_after_expiry: true } };

function startDaemon({ places }: RenewalHost, ...args: string[]): LabProcess {
  return startProcess([...agentProgram(), 'host', 'run', '--json', ...args, ...places]);
}

function linesOf(daemon: LabProcess): LogLine[] {
  const whole = daemon.stdout().split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as LogLine);
}

const count = (daemon: LabProcess, event: string) => linesOf(daemon).filter((line) => line.event === event).length;

test.concurrent('renews by itself when a certificate is due, and ends on SIGTERM', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost({ settings: shortLived });
  const [before] = await host.served();
  await using daemon = startDaemon(host);
  await daemon.until((one) => count(one, 'renewed') >= 3 && count(one, 'reported') >= 3, PATIENCE_SECONDS);
  const ending = await daemon.stop();
  expect(ending).toEqual({ code: 0, signal: null });
  expect(daemon.stderr()).toBe('');
  const events = linesOf(daemon).map(({ event }) => event);
  expect(events[0]).toBe('started');
  expect(events.at(-1)).toBe('stopped');
  expect((await host.served()).map(serialOf)).not.toEqual([serialOf(before)]);
  expect((await host.inventory()).lineage?.state).toBe('active');
});

test.concurrent('asks again after the CA was away', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost({ settings: shortLived });
  await host.ca.process.stop();
  await using daemon = startDaemon(host);
  await daemon.until((one) => count(one, 'failed') >= 1, PATIENCE_SECONDS);
  expect(linesOf(daemon).find(({ event }) => event === 'failed')).toMatchObject({
    code: 'ca-unreachable',
    level: 'warn',
  });
  await using _again = await host.ca.ca.serve();
  await daemon.until((one) => count(one, 'renewed') >= 1, PATIENCE_SECONDS);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});

test('refuses a schedule that is none, and a configuration with faults; takes one without', async () => {
  await using host = await startRenewalHost();
  expect(await host.host('run', '--schedule', 'at noon')).toMatchObject({ status: 1, code: 'schedule-invalid' });

  const config = join(host.lab.directory, 'host.toml');
  await writeFile(config, 'schedule = "at noon"\njitter = 5\n');
  const refused = await host.host('run', '--config', config);
  expect(refused).toMatchObject({ status: 1, code: 'host-config' });
  for (const key of ['schedule', 'jitter']) expect(refused.stderr).toContain(`${key}: `);

  const { sshd, stateDirectory } = host;
  await writeFile(config, `sshd-config = "${sshd.configPath}"\nstate-dir = "${stateDirectory}"\nreport-every = "1h"\n`);
  const renewed = await runAgent(['host', 'renew', '--force', '--json', '--config', config]);
  expect(renewed.status, renewed.stderr).toBe(0);
  expect(JSON.parse(renewed.stdout)).toMatchObject({ keys: [{ did: 'renewed' }] });
  const { nextAt } = (JSON.parse(renewed.stdout) as { keys: [{ nextAt: string }] }).keys[0];
  expect(Date.parse(nextAt) - Date.now()).toBeLessThanOrEqual(3_600_000); // the next report
});
