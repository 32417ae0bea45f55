/**
 * An agent that is killed (SIGKILL) before any step of an install or a removal: sshd answers and would start again at once, and
 * the next run leaves either the old state or the new one, byte for byte.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HostPlaces } from '#agent/host/host-context.ts';
import { recoverHost } from '#agent/host/recovery.ts';
import { removeFromHost } from '#agent/host/remove-host.ts';
import { acquireLock } from '#agent/state/lock.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { firstKey } from '#test/support/across-reload.ts';
import { readTree } from '#test/support/file-tree.ts';
import { SSHD } from '#test/support/sshd.ts';
import { type TestHost, quickStart, startHost } from './host-agent-fixture.ts';

const program = join(import.meta.dirname, 'host-agent-install-program.ts');
/** Without a kill, for a run that shall come to its end. */
const NEVER = 0;

let host: TestHost;

beforeEach(async () => {
  host = await startHost({ sshd: { keys: ['ed25519', 'ecdsa'], config: ['# one more line'] } });
});

afterEach(async () => host[Symbol.asyncDispose]());

async function run(command: 'enroll' | 'remove', step: number): Promise<{ killed: boolean; steps: number }> {
  const args = [program, command, String(step), host.stateDirectory, host.sshd.configPath];
  const { signal, exitCode, stdout, stderr } = await execa(process.execPath, args, { reject: false, env: quickStart });
  if (signal === undefined && exitCode !== 0) throw new Error(stderr);
  return { killed: signal === 'SIGKILL', steps: Number(stdout) };
}

function places(): HostPlaces {
  return { stateDirectory: host.stateDirectory, sshdConfig: host.sshd.configPath };
}

async function expectSshdFit(): Promise<void> {
  expect(await host.servedKey()).toBe(fingerprintOf(firstKey(host.sshd).blob));
  const check = await execa(SSHD, ['-t', '-f', host.sshd.configPath], { reject: false });
  expect(check.exitCode, check.stderr).toBe(0);
}

/** Certificates differ from run to run; what else is there does not. */
async function readEtc(): Promise<string[]> {
  return readTree(host.sshd.etc);
}

describe('killed', () => {
  test('at every step of an install, the old state stands', { timeout: 300_000 }, async () => {
    const before = await readEtc();
    const { steps } = await run('enroll', NEVER);
    expect((await host.host('remove')).status).toBe(0);
    expect(steps).toBeGreaterThan(15);
    const outcomes: string[] = [];
    for (let step = 1; step <= steps; step += 1) {
      expect((await run('enroll', step)).killed).toBe(true);
      await expectSshdFit();
      await recoverHost(host.stateDirectory);
      const stands = (await host.servedCertificate()) === undefined ? 'old' : 'new';
      const tree = await readEtc();
      if (stands === 'old') expect(tree, `step ${step}`).toEqual(before);
      else expect(tree.filter((line) => /\.(old|new): /.test(line))).toEqual([]);
      outcomes.push(stands);
      await removeFromHost(places(), { force: false });
      expect(await readEtc(), `step ${step}`).toEqual(before);
    }
    // Only after the commit, which is before the last step, the new state stands.
    expect(outcomes.lastIndexOf('old')).toBe(steps - 2);
    expect(outcomes.indexOf('new')).toBe(steps - 1);
  });

  test('at every step of a removal, the new state stands', { timeout: 300_000 }, async () => {
    const before = await readEtc();
    expect((await host.enroll('--all-keys')).status).toBe(0);
    const enrolled = await readEtc();
    let step = 1;
    for (; (await run('remove', step)).killed; step += 1) {
      await expectSshdFit();
      await recoverHost(host.stateDirectory);
      if ((await host.servedCertificate()) === undefined) break;
      expect(await readEtc(), `step ${step}`).toEqual(enrolled);
    }
    expect(step).toBeGreaterThan(10);
    await host.host('remove');
    expect(await readEtc()).toEqual(before);
    await expectSshdFit();
  });

  test('by the command line itself, an interrupted run is ended by the next one, which says so', async () => {
    const before = await readEtc();
    expect((await run('enroll', 8)).killed).toBe(true);
    expect(await readEtc()).not.toEqual(before);
    const doctor = await host.host('status', '--json');
    expect(doctor.status).toBe(1);
    const { status, stderr } = await host.enroll();
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('An earlier run was interrupted');
    expect((await host.servedCertificate())?.certificate?.principals).toEqual(['localhost']);
  });

  test('while holding the lock, it does not block the next run', async () => {
    await writeFile(join(host.stateDirectory, 'lock'), `${process.pid} 1 of-another-boot\n`);
    expect((await host.enroll()).status).toBe(0);
    await using _lock = await acquireLock(join(host.stateDirectory, 'lock'));
    expect(await host.enroll()).toMatchObject({ status: 1, code: 'busy' });
  });
});
