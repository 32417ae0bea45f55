/** The clock that is handed to everything, and what is remembered of it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Clock } from '#agent/clock/clock.ts';
import { openClock, rememberClock } from '#agent/clock/clock-record.ts';
import { createRoot, generateX509Key } from '#ca-lite/x509/certificate-authority.ts';

const NOW = Date.UTC(2027, 5, 1);
const reading = { wallMs: NOW, bootMs: 100_000 };
const read = () => ({ ...reading });
const root = await createRoot('Test', await generateX509Key(), new Date(NOW));
const authority = { rootCertificate: root.certificatePem };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-clock-'));
  Object.assign(reading, { wallMs: NOW, bootMs: 100_000 });
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

function pass(wallMs: number, bootMs = wallMs): void {
  reading.wallMs += wallMs;
  reading.bootMs += bootMs;
}

test('says the time of the system, in whole seconds too', () => {
  const clock = new Clock({ read });
  pass(1999);
  expect([clock.nowMs(), clock.now()]).toEqual([NOW + 1999, BigInt(NOW / 1000 + 1)]);
});

test('believes the CA, and goes on with the boot', () => {
  reading.wallMs = 0;
  const clock = new Clock({ read });
  expect(clock.judge().doubt).toBe('before-release');
  expect(clock.believe(NOW)).toBe(true);
  pass(60_000);
  expect(clock.nowMs()).toBe(NOW + 60_000);
  expect(clock.judge().kind).toBe('told');
});

test('does not believe a time before the release, and stays as it was', () => {
  reading.wallMs = 0;
  const clock = new Clock({ read });
  expect(clock.believe(1_000_000_000_000)).toBe(false);
  expect(clock.anchor).toBeUndefined();
  expect(clock.judge().kind).toBe('doubtful');
});

test('is confirmed by what the CA takes for timely, unless it is in doubt', () => {
  const clock = new Clock({ read });
  clock.confirm();
  pass(3_600_000);
  expect(clock.judge().kind).toBe('system');
  pass(-7_200_000, 1000);
  clock.confirm();
  expect(clock.judge()).toMatchObject({ kind: 'doubtful', doubt: 'jumped', nowMs: NOW + 3_601_000 });
});

test('the next run of the same boot goes on with the time that the CA told', async () => {
  reading.wallMs = 0;
  const clock = await openClock(directory, authority, read);
  clock.believe(NOW);
  await rememberClock(directory, clock);
  pass(600_000);
  const next = await openClock(directory, authority, read);
  expect(next.judge()).toMatchObject({ kind: 'told', nowMs: NOW + 600_000 });
});

test('after another boot, a clock that went back is doubted, and one that did not is believed', async () => {
  const clock = await openClock(directory, authority, read);
  clock.confirm();
  await rememberClock(directory, clock);
  const path = join(directory, 'clock.json');
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...record, bootId: 'another' }));
  reading.bootMs = 1;
  reading.wallMs = NOW - 3_600_000;
  expect((await openClock(directory, authority, read)).judge()).toMatchObject({
    kind: 'doubtful',
    doubt: 'before-last-seen',
  });
  reading.wallMs = NOW + 3_600_000;
  expect((await openClock(directory, authority, read)).judge().kind).toBe('system');
});

test('a memory of an uptime that is yet to come is of another start, and says only that time has passed', async () => {
  const clock = await openClock(directory, authority, read);
  clock.believe(NOW);
  await rememberClock(directory, clock);
  Object.assign(reading, { wallMs: NOW + 3_600_000, bootMs: 10 });
  const next = await openClock(directory, authority, read);
  expect(next.anchor).toBeUndefined();
  expect(next.judge()).toMatchObject({ kind: 'system', nowMs: NOW + 3_600_000 });
});

test('a clock after the end of the root is doubted', async () => {
  reading.wallMs = Date.UTC(2040, 0, 1);
  expect((await openClock(directory, authority, read)).judge().doubt).toBe('after-root');
});

test('a damaged memory is none', async () => {
  await writeFile(join(directory, 'clock.json'), '{"version":1,');
  expect((await openClock(directory, authority, read)).judge().kind).toBe('system');
});
