/**
 * The disk of a serving CA is full: it refuses in plain words, keeps what it has, and goes on by itself when there is room again.
 * The disk is a tmpfs in a mount namespace of the CA's own (util-linux; without root in a user namespace too), which goes with it.
 */
import { generateKeyPairSync } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import type { Program } from '#test/support/programs.ts';
import { type Answer, EnrolmentClient, hostKeyPair } from '#test/support/enrolment-client.ts';

const stack = new AsyncDisposableStack();
let running: RunningCa;
/** The CA on the small disk, and that disk as it is seen from outside its namespace. */
let ca: TestCa;
let directory: string;
let client: EnrolmentClient;

beforeAll(async () => {
  const within = await mkdtemp(join(tmpdir(), 'countersign-full-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  const original = await makeCa({ within, quick: true });
  const disk = join(within, 'disk');
  await mkdir(disk);
  const script = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@"';
  const isRoot = process.getuid?.() === 0;
  const own = isRoot ? ['--mount'] : ['--map-root-user', '--mount'];
  const onDisk = original.as({
    directory: disk,
    wrap: (argv) => ['unshare', ...own, 'sh', '-c', script, 'sh', disk, original.directory, ...argv],
  });
  running = stack.use(await onDisk.serve());
  const { pid } = running.process;
  directory = `/proc/${pid}/root${disk}`;
  const enter = [
    'nsenter',
    '--target',
    String(pid),
    '--mount',
    ...(isRoot ? [] : ['--user', '--preserve-credentials']),
  ];
  ca = onDisk.as({ wrap: (argv) => [...enter, ...argv] as unknown as Program });
  client = stack.use(new EnrolmentClient({ url: running.url, rootPem: await original.rootPem() }));
});
afterAll(async () => stack.disposeAsync());

const newKey = () => hostKeyPair(generateKeyPairSync('ed25519').privateKey);

async function fits(file: string, size: number): Promise<boolean> {
  try {
    await appendFile(file, Buffer.alloc(size));
    return true;
  } catch {
    return false;
  }
}

async function fillDisk(): Promise<string> {
  const file = join(directory, 'fill');
  for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 2)) {
    while (await fits(file, size));
  }
  expect((await statfs(directory)).bavail).toBe(0);
  return file;
}

/** The log that SQLite writes to has room for a few more entries than the disk: refusals use it up. */
async function untilStoreIsFull(): Promise<Answer> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const answer = await client.sign('no token', newKey().blob);
    if (answer.json?.code !== 'token-invalid') return answer;
  }
  return expect.unreachable('500 entries of the audit log found room on a full disk');
}

test('refuses while it is full, loses nothing, and goes on when it is not', async () => {
  const [before, during] = [await ca.token('--user', 'alice'), await ca.token('--user', 'alice')];
  const [first, second] = [newKey(), newKey()];
  expect((await client.sign(before, first.blob)).status).toBe(201);

  const file = await fillDisk();
  const refused = await untilStoreIsFull();
  expect(refused).toMatchObject({ status: 503, json: { code: 'store-unavailable', status: 503 } });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect((await client.sign(during, second.blob)).json?.code).toBe('store-unavailable');
  expect((await client.request('GET', '/health')).status).toBe(200);
  await running.process.until((one) => /disk of the store is full/.test(one.stderr())); // the log comes when it comes

  await rm(file);
  let answer = await client.sign(during, second.blob);
  for (const end = performance.now() + 60_000; answer.status === 503 && performance.now() < end;) {
    await sleep(100);
    answer = await client.sign(during, second.blob);
  }
  expect(answer.status).toBe(201);
  const records = await ca.json<{ keyFingerprint: string; state: string }[]>('certs');
  const issued = records.filter(({ state }) => state === 'issued').map(({ keyFingerprint }) => keyFingerprint);
  expect(issued.toSorted()).toEqual([first.fingerprint, second.fingerprint].toSorted());
  expect(await ca.run('audit', '--verify')).toContain('The audit log is whole');
});
