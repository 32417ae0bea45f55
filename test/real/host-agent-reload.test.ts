/** A reload of sshd that comes while it starts anew after an earlier one, and would ignore it: it is not lost. */
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { findReloadMethod } from '#agent/host/reload.ts';
import { reloadAndSettle } from '#agent/host/served-check.ts';
import { findSshd } from '#agent/host/sshd-program.ts';
import { servedKey } from '#test/support/across-reload.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';

/** An agent that does not wait would have sent its signal by then. */
const HASTE_MS = 300;

/** Names these host keys and no others. */
async function configure({ configPath }: TestSshd, paths: readonly string[]): Promise<void> {
  const lines = (await readFile(configPath, 'utf8')).split('\n').filter((line) => !line.startsWith('HostKey '));
  await writeFile(configPath, [...paths.map((path) => `HostKey ${path}`), ...lines].join('\n'));
}

test('sshd uses what was configured before the later reload', async () => {
  await using sshd = await startSshd({ keys: ['ed25519', 'ecdsa'] });
  const [first, second] = sshd.hostKeys;
  const settings = await (await findSshd({ sshdConfig: sshd.configPath })).readSettings();
  const method = await findReloadMethod(settings);
  expect(method).toEqual({ kind: 'signal', pid: sshd.pid });

  // Starting anew, sshd has read its configuration when it opens this one, and waits for what is written there.
  const pipe = join(sshd.directory, 'pipe');
  await execa('mkfifo', ['-m', '600', pipe]);
  await configure(sshd, [first?.path ?? '', pipe]);
  process.kill(sshd.pid, 'SIGHUP');
  await using writer = await open(pipe, 'w'); // once sshd is there
  await rm(pipe); // it looks at a key more than once
  await configure(sshd, [second?.path ?? '']);
  const reloading = reloadAndSettle(settings, method);
  await Promise.race([reloading, sleep(HASTE_MS)]);
  await writer.close();

  await reloading;
  expect(await servedKey(sshd, second)).toBeDefined();
  expect(await servedKey(sshd, first)).toBeUndefined();
});
