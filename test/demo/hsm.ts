/** `npm run demo -- --signer yubihsm`: the CA keys in a simulated YubiHSM 2, set up as an operator would, under SSH templates. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { caProgram } from '#test/support/programs.ts';
import { startSimulator } from '#test/yubihsm-simulator/simulator.ts';
import { heading, run, say } from './narration.ts';
import type { Stage } from './stage.ts';

/** Sets a device up and puts its `[signer]` section into ca.toml. */
export async function moveKeysIntoHsm(stage: Stage, caDirectory: string): Promise<void> {
  heading(
    '1b. Its SSH keys in a YubiHSM 2 (simulated): made in the device, never out of it, and limited by its templates',
  );
  const simulator = stage.stack.use(await startSimulator());
  say('A simulator stands in for the device: it is for development, demos and tests only.');
  const administrator = join(stage.directory, 'hsm-administrator.password');
  await writeFile(administrator, randomBytes(18).toString('base64'), { mode: 0o600 });
  const shares = [1, 2, 3].flatMap((number) => ['--share-file', join(stage.directory, `wrap-key-share-${number}`)]);
  const printed = await run({
    program: caProgram(),
    name: 'countersign-ca',
    args: ['hsm', 'init', '--dir', caDirectory, '--backup', join(stage.directory, 'hsm-backup'), ...shares],
    hidden: ['--connector', simulator.url, '--administrator-password-file', administrator],
  });
  const section = printed.slice(printed.indexOf('[signer]'), printed.indexOf('ssh-rsa '));
  const config = join(caDirectory, 'ca.toml');
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace(/\[signer\][^[]*/, `${section.trim()}\n\n`));
}
