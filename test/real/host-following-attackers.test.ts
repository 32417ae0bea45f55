/**
 * Whatever comes in place of what the CA states, a real sshd goes on with what it has: it answers, lets good users in and refuses those who
 * were revoked. The host says what was wrong, with a stable code.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CaErrorCode } from '#agent/ca/ca-error.ts';
import { MAX_KRL_LENGTH } from '#openssh/krl.ts';
import { SSHD } from '#test/support/sshd.ts';
import type { StatementOptions } from '#test/support/statement-sample.ts';
import { newCaKey } from '#test/support/statement-signer.ts';
import { bootstrap } from './host-agent-fixture.ts';
import { letsIn } from './host-following-fixture.ts';
import { type FollowingStage, openFollowingStage } from './host-following-stage.ts';

let stage: FollowingStage;
/** What the CA states while nobody is in between. */
let honest: StatementOptions;

beforeAll(async () => {
  stage = await openFollowingStage();
  honest = { number: 5, krlNumber: 5n, revoked: [stage.badBlob], serials: [7n] };
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

beforeEach(async () => {
  stage.state(honest);
  expect(await stage.follow()).toMatchObject({ failure: undefined, krlNumber: honest.krlNumber });
});

async function expectAsBefore(): Promise<void> {
  const { host, good, bad } = stage;
  expect(await letsIn(host, good)).toBe(true);
  expect(await letsIn(host, bad)).toBe(false);
  expect((await execa(SSHD, ['-t', '-f', host.sshd.configPath])).exitCode).toBe(0);
}

const stranger = newCaKey();
const lies: readonly (readonly [string, CaErrorCode, (bad: Uint8Array) => StatementOptions])[] = [
  ['signed by a stranger', 'ca-keys-changed', () => ({ number: 6, krlNumber: 6n, signer: stranger })],
  ['a KRL that is garbage', 'krl-unusable', () => ({ krlNumber: 6n, krl: Buffer.from('garbage') })],
  ['an empty KRL file', 'krl-unusable', () => ({ krlNumber: 6n, krl: new Uint8Array() })],
  ['an older KRL', 'statement-older', () => ({ krlNumber: 4n })],
  ['an older list of keys', 'statement-older', () => ({ number: 4, krlNumber: 6n })],
  ['a KRL larger than any', 'ca-reply-invalid', () => ({ krlNumber: 6n, krl: new Uint8Array(MAX_KRL_LENGTH + 1) })],
];

describe('sshd goes on as before when the host is told', () => {
  test.each(lies)('%s', async (_, code, lie) => {
    const installed = await readFile(stage.krlPath);
    stage.state({ ...honest, ...lie(stage.badBlob) });
    expect((await stage.follow()).failure).toMatchObject({ code });
    expect(Buffer.compare(await readFile(stage.krlPath), installed)).toBe(0);
    await expectAsBefore();
  });

  test('a KRL cut off on its way, with the signature for the whole', async () => {
    stage.state({ ...honest, krlNumber: 6n });
    const { statements } = stage.host.ca.behaviour;
    if (statements === undefined) throw new Error('nothing is stated');
    stage.host.ca.behaviour.statements = { ...statements, krl: statements.krl.subarray(0, -1) };
    expect((await stage.follow()).failure).toMatchObject({ code: 'statement-refused' });
    await expectAsBefore();
  });

  test('one that OpenSSH cannot read, although it is signed', async () => {
    // A section of a type that comes after those of today, not critical in our reading: OpenSSH 9.2 refuses it.
    const { krl } = stage.host.ca.behaviour.statements ?? { krl: new Uint8Array() };
    const name = Buffer.from('\0\0\0\u0001x\0\0\0\0\0', 'latin1');
    const section = Buffer.concat([Buffer.of(255, 0, 0, 0, name.length), name]);
    stage.state({ ...honest, krlNumber: 6n, krl: Buffer.concat([krl, section]) });
    const asked = join(stage.places.stateDirectory, 'with-extension');
    await writeFile(asked, Buffer.concat([krl, section]));
    const { exitCode } = await execa('ssh-keygen', ['-Q', '-f', asked, `${stage.good}.pub`], { reject: false });
    const { failure } = await stage.follow();
    // OpenSSH 9.4 and later read extensions, and then it is taken: what counts is that both agree.
    expect(failure?.code).toBe(exitCode === 0 ? undefined : 'krl-unusable');
    await expectAsBefore();
  });
});

test('the host says so, with exit status 1, and goes on when the CA is itself again', async () => {
  stage.state({ ...honest, krlNumber: 4n });
  const { status, code, stderr } = await stage.host.host('renew');
  expect({ status, code }, stderr).toEqual({ status: 1, code: 'statement-older' });
  honest = { ...honest, krlNumber: 8n };
  stage.state(honest);
  expect((await stage.host.host('renew')).status).toBe(0);
  await expectAsBefore();
});

test('a CA that was restored from a backup is taken as it is by bootstrap, and by nothing else', async () => {
  honest = { ...honest, number: 2, krlNumber: 3n };
  stage.state(honest);
  expect((await stage.follow()).failure).toMatchObject({ code: 'statement-older' });
  await bootstrap(stage.host);
  expect(await stage.follow()).toMatchObject({ failure: undefined, did: ['krl'], krlNumber: 3n });
  await expectAsBefore();
});

test('a CA out of reach changes nothing, and is no failure of the command', async () => {
  const { statements } = stage.host.ca.behaviour;
  stage.host.ca.behaviour.busy = { times: 1, status: 500 };
  expect((await stage.host.host('renew')).status).toBe(0);
  delete stage.host.ca.behaviour.busy;
  expect(stage.host.ca.behaviour.statements).toBe(statements);
  await expectAsBefore();
});

describe('the file for sshd is made good without the CA', () => {
  const damages: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    ['deleted', async (path) => rm(path)],
    ['emptied', async (path) => writeFile(path, '')],
    ['overwritten', async (path) => writeFile(path, 'not a KRL\n')],
  ];
  test.each(damages)('%s', async (_, damage) => {
    await damage(stage.krlPath);
    stage.host.ca.behaviour.busy = { times: 1, status: 500 };
    expect((await stage.follow()).did).toContain('repaired');
    delete stage.host.ca.behaviour.busy;
    await expectAsBefore();
  });

  test('and sshd is told to do without it where nothing of it is left and the CA is silent', async () => {
    await rm(stage.krlPath);
    await rm(join(stage.places.stateDirectory, 'host/krl'));
    stage.host.ca.behaviour.busy = { times: 1, status: 500 };
    const { failure, did } = await stage.follow();
    expect(failure).toBeDefined();
    expect(did).toEqual(['sshd']);
    delete stage.host.ca.behaviour.busy;
    expect(await letsIn(stage.host, stage.good)).toBe(true);
    expect((await stage.follow()).did).toEqual(['krl', 'sshd']);
    await expectAsBefore();
  });
});

test('an sshd that takes users of this CA by a file of somebody else refuses who is revoked, and keeps that file', async () => {
  await using elsewhere = await openFollowingStage({ trustsElsewhere: true });
  expect(await readFile(join(elsewhere.host.sshd.dropInDirectory, '50-countersign.conf'), 'utf8')).toMatch(
    /^RevokedKeys /m,
  );
  elsewhere.state({ krlNumber: 2n, revoked: [elsewhere.badBlob] });
  expect(await elsewhere.follow()).toMatchObject({ did: ['krl'], failure: undefined });
  expect(await letsIn(elsewhere.host, elsewhere.bad)).toBe(false);
  expect(await letsIn(elsewhere.host, elsewhere.good)).toBe(true);
  const { stdout } = await execa(SSHD, ['-T', '-f', elsewhere.host.sshd.configPath]);
  expect(stdout).toMatch(/^trustedusercakeys .*user_cas\.pub$/m);
});

test('removal tells sshd first, and leaves nothing', async () => {
  expect((await stage.host.host('remove')).status).toBe(0);
  expect(await letsIn(stage.host, stage.good)).toBe(true);
  expect(await letsIn(stage.host, stage.bad)).toBe(true);
  await expect(readFile(stage.krlPath)).rejects.toMatchObject({ code: 'ENOENT' });
});
