/**
 * A host that is killed (SIGKILL) before any step of taking over keys and revocations: sshd answers, would start again, and lets good users in
 * at every moment; the next look comes to the same end as one that nobody disturbed.
 */
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { recoverHost } from '#agent/host/recovery.ts';
import { removeLeftovers } from '#agent/state/leftovers.ts';
import { SSHD } from '#test/support/sshd.ts';
import { listedKey, newCaKey } from '#test/support/statement-signer.ts';
import { quickStart } from './host-agent-fixture.ts';
import { letsIn } from './host-following-fixture.ts';
import { type FollowingStage, openFollowingStage } from './host-following-stage.ts';

const program = join(import.meta.dirname, 'host-following-program.ts');
/** Without a kill, for a run that shall come to its end. */
const NEVER = 0;

const removal = join(import.meta.dirname, 'host-agent-install-program.ts');

/** @returns whether it was killed before the step */
async function remove({ places }: FollowingStage, step: number): Promise<boolean> {
  const args = [removal, 'remove', String(step), places.stateDirectory, places.sshdConfig];
  const { signal, exitCode, stderr } = await execa(process.execPath, args, { reject: false, env: quickStart });
  if (signal === undefined && exitCode !== 0) throw new Error(stderr);
  return signal === 'SIGKILL';
}

async function run({ places }: FollowingStage, step: number): Promise<{ killed: boolean; steps: number }> {
  const args = [program, String(step), places.stateDirectory, places.sshdConfig];
  const { signal, exitCode, stdout, stderr } = await execa(process.execPath, args, { reject: false, env: quickStart });
  if (signal === undefined && exitCode !== 0) throw new Error(stderr);
  return { killed: signal === 'SIGKILL', steps: Number(stdout) };
}

async function expectFit({ host, good }: FollowingStage, when: string): Promise<void> {
  expect(await letsIn(host, good), when).toBe(true);
  const check = await execa(SSHD, ['-t', '-f', host.sshd.configPath], { reject: false });
  expect(check.exitCode, `${when}: ${check.stderr}`).toBe(0);
}

/** As every command begins. */
async function beginAnew({ places }: FollowingStage): Promise<void> {
  await removeLeftovers([places.stateDirectory, join(places.stateDirectory, 'host')]);
  await recoverHost(places.stateDirectory);
}

/** Nothing of a KRL is left, and sshd was told so. */
async function forgetKrl(stage: FollowingStage): Promise<void> {
  const host = join(stage.places.stateDirectory, 'host');
  for (const path of [stage.krlPath, join(host, 'krl'), join(host, 'following.json')]) await rm(path, { force: true });
  stage.host.ca.behaviour.busy = { times: 1, status: 500 };
  expect((await stage.follow()).did).toContain('sshd');
  delete stage.host.ca.behaviour.busy;
}

test('killed at every step of the first KRL and another user CA', { timeout: 600_000 }, async () => {
  await using stage = await openFollowingStage();
  const other = listedKey(newCaKey(), 'next');
  let number = 0;
  const announce = () => {
    number += 1;
    const otherUserCas = number % 2 === 1 ? [other] : [];
    stage.state({ number, krlNumber: BigInt(number), otherUserCas, revoked: [stage.badBlob] });
  };
  announce();
  const { steps } = await run(stage, NEVER);
  expect(steps).toBeGreaterThan(20);
  expect(await letsIn(stage.host, stage.bad)).toBe(false);
  for (let step = 1; step <= steps; step += 1) {
    await forgetKrl(stage);
    announce();
    expect((await run(stage, step)).killed, `step ${step}`).toBe(true);
    await expectFit(stage, `killed before step ${step}`);
    await beginAnew(stage);
    expect(await stage.follow()).toMatchObject({ failure: undefined, krlNumber: BigInt(number) });
    const settled = await stage.follow();
    expect(settled, `after step ${step}`).toMatchObject({ failure: undefined, did: [] });
  }
  await expectFit(stage, 'in the end');
  expect(await letsIn(stage.host, stage.bad)).toBe(false);
  expect((await readdir(dirname(stage.krlPath))).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('killed at every step of a removal', { timeout: 600_000 }, async () => {
  await using stage = await openFollowingStage();
  stage.state({ revoked: [stage.badBlob] });
  expect((await stage.follow()).did).toContain('sshd');
  let step = 1;
  for (; await remove(stage, step); step += 1) {
    await expectFit(stage, `killed before step ${step}`);
    await beginAnew(stage);
    await expectFit(stage, `after step ${step}`);
  }
  expect(step).toBeGreaterThan(10);
  await expectFit(stage, 'in the end');
  expect((await stage.host.host('remove')).status).toBe(0);
  expect(await readdir(dirname(stage.krlPath))).not.toContain('countersign_revoked_keys');
  expect(await letsIn(stage.host, stage.bad)).toBe(true);
});
