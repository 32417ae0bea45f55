/** The laboratory itself leaves nothing behind: not after a test, and not after a test run that was killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startProcess } from '#test/support/lab-process.ts';
import { labKinds, openLab } from '#test/support/lab.ts';

/** Whatever of laboratories is on this machine. */
async function remains(): Promise<string[]> {
  const places = ['/run/netns', '/etc/netns'];
  const names = await Promise.all(places.map(async (place) => readdir(place).catch(() => [])));
  return names
    .flat()
    .filter((name) => name.startsWith('cslab'))
    .toSorted();
}

test.each(labKinds)('%s: a laboratory that was closed has left nothing, not even its processes', async (kind) => {
  const lab = await openLab(kind);
  const machine = await lab.addMachine('a', { addresses: 2 });
  const running = startProcess(machine.command(['sleep', '1000']));
  await lab.setZone({ 'a.lab.example': machine.addresses });
  const { directory } = lab;
  expect(existsSync(directory)).toBe(true);
  await running[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(`/proc/${running.pid}`)).toBe(false);
  const own = kind === 'namespaces' ? machine.command([])[3] : undefined;
  expect(await remains()).not.toContain(own);
});

test('what a killed test run left is taken away by the next', async () => {
  const victim = spawn(process.execPath, [fileURLToPath(new URL('./laboratory-victim.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(victim.stdout, 'data')) as [Buffer];
  const left = JSON.parse(line.toString()) as { pid: number; namespace: string; directory: string };
  const { pid, namespace, directory } = left;
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  victim.kill('SIGKILL');
  await once(victim, 'exit');
  while (existsSync(`/proc/${pid}`)) await sleep(10); // the kernel ends it
  await using _next = await openLab();
  // Another test file may be about it at this moment too.
  await expect.poll(remains, { timeout: 60_000 }).not.toContain(namespace);
  await expect.poll(() => existsSync(directory), { timeout: 60_000 }).toBe(false);
});
