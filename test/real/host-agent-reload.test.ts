/** An sshd that starts anew after an earlier reload, listens nowhere and ignores SIGHUP: it is waited for, and no reload is lost. */
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { findReloadMethod } from '#agent/host/reload.ts';
import { reloadAndSettle, servesKey } from '#agent/host/served-check.ts';
import { findSshd } from '#agent/host/sshd-program.ts';
import type { SshdSettings } from '#agent/host/sshd-settings.ts';
import { firstKey, servedKey } from '#test/support/across-reload.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';

/** An agent that does not wait would have sent its signal by then. */
const HASTE_MS = 300;

/** Names these host keys and no others. */
async function configure({ configPath }: TestSshd, paths: readonly string[]): Promise<void> {
  const lines = (await readFile(configPath, 'utf8')).split('\n').filter((line) => !line.startsWith('HostKey '));
  await writeFile(configPath, [...paths.map((path) => `HostKey ${path}`), ...lines].join('\n'));
}

interface HeldSshd extends AsyncDisposable {
  readonly sshd: TestSshd;
  readonly settings: SshdSettings;
  /** Lets it go on. */
  release(): Promise<void>;
}

/** An sshd that starts anew and has read its configuration, in which its first key stands. It listens nowhere and handles no signal. */
async function holdSshd(): Promise<HeldSshd> {
  await using stack = new AsyncDisposableStack();
  const sshd = stack.use(await startSshd({ keys: ['ed25519', 'ecdsa'] }));
  const settings = await (await findSshd({ sshdConfig: sshd.configPath })).readSettings();
  const pipe = join(sshd.directory, 'pipe'); // in place of a key: sshd waits for what is written there
  await execa('mkfifo', ['-m', '600', pipe]);
  await configure(sshd, [firstKey(sshd).path, pipe]);
  process.kill(sshd.pid, 'SIGHUP');
  const writer = stack.use(await open(pipe, 'w')); // once sshd is there
  await rm(pipe); // it looks at a key more than once
  const owned = stack.move();
  return {
    sshd,
    settings,
    release: async () => writer.close(),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** Gives the agent the time in which one that does not wait would be wrong. */
async function inHaste(work: Promise<unknown>): Promise<void> {
  await Promise.race([work, sleep(HASTE_MS)]);
}

test('sshd uses what was configured before the later reload', async () => {
  await using held = await holdSshd();
  const { sshd, settings } = held;
  const [first, second] = sshd.hostKeys;
  await configure(sshd, [second?.path ?? '']);
  const reloading = reloadAndSettle(settings, { kind: 'signal', pid: sshd.pid });
  await inHaste(reloading);
  await held.release();
  await reloading;
  expect(await servedKey(sshd, second)).toBeDefined();
  expect(await servedKey(sshd, first)).toBeUndefined();
});

test('sshd is found, and asked for its key', async () => {
  await using held = await holdSshd();
  const { sshd, settings } = held;
  const { key, blob } = firstKey(sshd);
  const found = Promise.all([findReloadMethod(settings), servesKey(settings, key, blob)]);
  await inHaste(found);
  await held.release();
  expect(await found).toEqual([{ kind: 'signal', pid: sshd.pid }, true]);
});
