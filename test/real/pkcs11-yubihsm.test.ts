/**
 * Our PKCS#11 signer with the YubiHSM's own PKCS#11 module, on the simulator. The module needs the C library of Debian 13, so
 * the signer runs in the judge's chroot, in a mount namespace of its own.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { keyKinds, type KeyKind } from '#ca-lite/yubihsm/algorithms.ts';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { generateAsymmetricKey } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { allDomains } from '#ca-lite/yubihsm/domains.ts';
import { judgePreparationMs, prepareJudge } from '#test/yubihsm-simulator/judge-chroot.ts';
import { startBench } from './yubihsm-fixture.ts';

const kinds: readonly KeyKind[] = ['ed25519', 'ecp256', 'ecp384', 'rsa2048'];

const inChroot = `
mount --bind "$1" "$2/mnt" && mount --bind /proc "$2/proc" && mount --bind /dev "$2/dev" || exit 99
config="$3"; chroot="$2"; shift 3
exec chroot "$chroot" env "YUBIHSM_PKCS11_CONF=$config" \\
  /mnt/node_modules/node/bin/node /mnt/test/real/pkcs11-yubihsm-program.ts "$@"`;

let chroot: string;
beforeAll(async () => {
  chroot = await prepareJudge();
}, judgePreparationMs);

test("the YubiHSM's own PKCS#11 module signs with every kind of key", async () => {
  const directory = await mkdtemp(join(chroot, 'root', 'pkcs11-'));
  const bench = await startBench();
  onTestFinished(async () => {
    await bench[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  await mkdir(join(chroot, 'mnt'), { recursive: true });
  await writeFile(join(directory, 'module.conf'), `connector = ${bench.simulator.url}\n`);
  {
    await using session = await bench.session();
    for (const kind of kinds) {
      const capabilities = capabilityBits(keyKinds[kind].capability);
      const header = { id: 0, label: kind, domains: allDomains, capabilities, algorithm: kind };
      await session.execute(generateAsymmetricKey(header));
    }
  }
  const repository = join(import.meta.dirname, '../..');
  const config = `/root/${basename(directory)}/module.conf`;
  const words = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    inChroot,
    'sh',
    repository,
    chroot,
    config,
    ...kinds,
  ];
  const { stdout, stderr } = await execa('unshare', words, { reject: false });
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toEqual([
    'ed25519 ssh-ed25519 64',
    expect.stringMatching(/^ecp256 ecdsa-sha2-nistp256 \d+$/),
    expect.stringMatching(/^ecp384 ecdsa-sha2-nistp384 \d+$/),
    'rsa2048 rsa-sha2-512 256',
  ]);
}, 600_000);
