/**
 * A host whose clock is wrong renews all the same: in 1970, in 2040, ten minutes off, and set while the daemon runs. The CA, sshd and ssh
 * have the right time; the program of the agent sees another one (libfaketime).
 */
import { rm, rename, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { readAuthority } from '#agent/state/authority.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import { inFakeTime } from '#test/support/fake-time.ts';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { type AgentResult, runAgent } from './host-agent-fixture.ts';
import { type RenewalHost, serialOf, startRenewalHost } from './host-renewal-fixture.ts';

interface RenewReport {
  readonly keys: readonly { readonly did: string; readonly reported: boolean }[];
  readonly clock: { readonly judgement: string; readonly aheadSeconds: number };
}

async function runAt({ places }: RenewalHost, when: string | undefined, ...args: string[]): Promise<AgentResult> {
  return runAgent(['host', 'renew', '--json', ...args, ...places], when === undefined ? [] : await inFakeTime(when));
}

async function renewAt(host: RenewalHost, when: string | undefined, ...args: string[]): Promise<RenewReport> {
  const { status, stdout, stderr } = await runAt(host, when, ...args);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as RenewReport;
}

/** By plain ssh that trusts the host CA and nothing else. */
async function logIn({ lab, sshd, stateDirectory, identity, name }: RenewalHost): Promise<string> {
  const hostCaKeys = (await readAuthority(stateDirectory))?.hostCaKeys ?? [];
  const knownHosts = join(lab.directory, 'known_hosts');
  await writeFile(knownHosts, hostCaKeys.map((key) => `@cert-authority * ${formatPublicKeyLine(key)}\n`).join(''));
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    `HostKeyAlias=${name}`,
  ];
  const args = ['-F', 'none', '-i', identity, ...options.flatMap((option) => ['-o', option])];
  const target = ['-p', String(sshd.port), `${userInfo().username}@${sshd.address}`];
  return (
    await execa('ssh', [...args, '-o', 'GlobalKnownHostsFile=none', ...target, 'echo', 'in'], { stdin: 'ignore' })
  ).stdout;
}

const YEAR = 365 * 86_400;
/** For a busy machine. */
const PATIENCE_SECONDS = 150;

test('renews in 1970, in 2040, and with a clock that is ten minutes off', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost();
  const remembered = join(host.stateDirectory, 'clock.json');
  let last = (await host.served()).map(serialOf);
  const times = [
    ['@1970-01-01 00:00:10', 50 * YEAR, 100 * YEAR],
    ['@2040-01-01 00:00:00', -30 * YEAR, -5 * YEAR],
    ['-600', 575, 605], // an answer may take a while on a busy machine
    ['+600', -625, -595],
  ] as const;
  for (const [when, least, most] of times) {
    await rm(remembered, { force: true }); // nothing is known but what the clock shows
    const { keys, clock } = await renewAt(host, when, '--force');
    expect(keys, when).toMatchObject([{ did: 'renewed', reported: true }]);
    expect(clock.judgement, when).toBe('told');
    expect(clock.aheadSeconds, when).toBeGreaterThanOrEqual(least);
    expect(clock.aheadSeconds, when).toBeLessThanOrEqual(most);
    const served = (await host.served()).map(serialOf);
    expect(served, when).not.toEqual(last);
    last = served;
    expect(await logIn(host), when).toBe('in');
  }

  // What was told goes on with the boot, and a clock that was set right is believed again.
  expect((await renewAt(host, '+600')).clock.judgement).toBe('told');
  expect((await renewAt(host, '@1970-01-01 00:00:10')).clock.judgement).toBe('told');
  expect((await renewAt(host, undefined, '--force')).clock).toMatchObject({ judgement: 'system', aheadSeconds: 0 });

  // The other commands know the time as well.
  await rm(remembered, { force: true });
  const in1970 = await inFakeTime('@1970-01-01 00:00:10');
  const enroll = ['host', 'enroll', '--name', host.name, '--ip', host.sshd.address, ...host.places];
  const { status, stderr } = await runAgent(enroll, in1970);
  expect(status, stderr).toBe(0);
  const doctor = await runAgent(['doctor', '--json', ...host.places], in1970);
  const findings = JSON.parse(doctor.stdout) as { check: string; level: string }[];
  const levels = new Map(findings.map(({ check, level }) => [check, level]));
  expect(['ca', 'clock', 'certificate'].map((check) => levels.get(check))).toEqual(['ok', 'fail', 'ok']);
  expect((await host.inventory()).lineage?.state).toBe('active');
});

test('waits for its CA in 1970, and keeps what it has', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost();
  const before = await host.served();
  await host.ca.process.stop();
  await rm(join(host.stateDirectory, 'clock.json'), { force: true });
  const alone = await runAt(host, '@1970-01-01 00:00:10');
  expect(alone).toMatchObject({ status: 1, code: 'ca-unreachable' });
  const { keys, clock } = JSON.parse(alone.stdout) as RenewReport;
  expect(keys).toMatchObject([{ did: 'nothing' }]);
  expect(clock).toMatchObject({ judgement: 'doubtful', doubt: 'before-release' });
  expect(await host.served()).toEqual(before);

  await using _again = await host.ca.ca.serve();
  const met = await renewAt(host, '@1970-01-01 01:00:00', '--force');
  expect(met.keys).toMatchObject([{ did: 'renewed', reported: true }]);
  expect(met.clock.judgement).toBe('told');
});

test('goes on when the clock is set while the daemon runs', { timeout: 300_000 }, async () => {
  const shortLived = { certificates: { host_lifetime: '8s', backdate: '1s' }, renewal: { allow_after_expiry: true } };
  await using host = await startRenewalHost({ settings: shortLived });
  const file = join(host.lab.directory, 'time');
  await setTime(file, '+0');
  const program = [...(await inFakeTime(file)), ...agentProgram()];
  await using daemon = startProcess([...program, 'host', 'run', '--json', ...host.places]);
  await daemon.until((one) => count(one, 'renewed') >= 1, PATIENCE_SECONDS);
  expect(count(daemon, 'clock-off')).toBe(0);

  const then = count(daemon, 'renewed');
  await setTime(file, '@1970-01-01 00:00:10');
  await daemon.until((one) => count(one, 'renewed') >= then + 2, PATIENCE_SECONDS); // the first of them may have begun before
  expect((await host.served()).map((certificate) => certificate?.principals)).toEqual([[host.name]]);
  expect(linesOf(daemon).find(({ event }) => event === 'clock-off')).toMatchObject({ level: 'warn', doubt: null });

  await setTime(file, '+0');
  await daemon.until((one) => count(one, 'clock-right') >= 1, PATIENCE_SECONDS);
  const before = count(daemon, 'renewed');
  await daemon.until((one) => count(one, 'renewed') > before, PATIENCE_SECONDS);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  expect(daemon.stderr()).toBe('');
});

/** In one step, so that the program never reads half of it. */
async function setTime(file: string, when: string): Promise<void> {
  await writeFile(`${file}.new`, `${when}\n`);
  await rename(`${file}.new`, file);
}

interface LogLine {
  readonly event: string;
  readonly level: string;
}

function linesOf(daemon: LabProcess): LogLine[] {
  const whole = daemon.stdout().split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as LogLine);
}

function count(daemon: LabProcess, event: string): number {
  return linesOf(daemon).filter((line) => line.event === event).length;
}
