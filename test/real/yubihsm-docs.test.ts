/**
 * What docs/yubihsm.md tells an operator to type, typed: our own commands, with files where a person would answer; the
 * chapter for `yubihsm-shell`, with the vendor's own program.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { parse } from 'smol-toml';
import { Value } from 'typebox/value';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { getTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { YubiHsmSection } from '#ca-lite/yubihsm/signer-section.ts';
import { openYubiHsmSigners } from '#ca-lite/yubihsm/signer-settings.ts';
import { decodeSshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';
import { Pkcs11Section } from '#ca-lite/pkcs11/signer-section.ts';
import { certify } from '#test/contract/signer.ts';
import { extractBlocks } from '#test/support/doc-blocks.ts';
import { judgePreparationMs, prepareJudge } from '#test/yubihsm-simulator/judge-chroot.ts';
import { type Bench, startBench } from './yubihsm-fixture.ts';
import { hsm } from './yubihsm-hsm-command.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/yubihsm.md'), 'utf8');
const blocks = extractBlocks('docs/yubihsm.md', page);

let chroot: string;
beforeAll(async () => {
  chroot = await prepareJudge();
}, judgePreparationMs);

/** As the page has them, with its line ends for spaces. */
const setUp =
  'countersign-ca hsm init --dir /var/lib/countersign-ca --connector http://127.0.0.1:12345      --user-max-lifetime 24h --host-max-lifetime 90d --forbid-principal toor      --shares 3 --threshold 2 --backup /root/hsm-backup.json';
const secondDevice =
  'countersign-ca hsm restore /root/hsm-backup.json --dir /var/lib/countersign-ca --connector http://127.0.0.1:12346';

test('set up a device and a second one as the page says, and serve as its section says', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hsm-docs-'));
  const [first, second] = [await startBench(), await startBench()];
  onTestFinished(async () => {
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const place = (text: string): string =>
    text
      .replaceAll('/var/lib/countersign-ca', directory)
      .replaceAll('/root', directory)
      .replaceAll('http://127.0.0.1:12345', first.simulator.url)
      .replaceAll('http://127.0.0.1:12346', second.simulator.url);
  await writeFile(join(directory, 'administrator'), 'correct horse\n');
  const answers = ['1', '2', '3'].flatMap((number) => ['--share-file', join(directory, `share-${number}`)]);
  answers.push('--administrator-password-file', join(directory, 'administrator'));
  for (const command of [setUp, secondDevice]) {
    const words = place(command).split(/ +/).slice(2);
    expect(await hsm(...words, ...answers)).toMatchObject({ exitCode: 0, stderr: '' });
  }
  const [section] = tomlBlocks();
  const { signer } = parse(place(section!)) as { signer: unknown };
  if (!Value.Check(YubiHsmSection, signer)) throw new Error('the section of the page does not fit its schema');
  await using signers = await openYubiHsmSigners(signer, { directory });
  await certify(signers.user);
  await certify(signers.host, { type: 'host' });
});

test('the section for PKCS#11 fits its schema', () => {
  const { signer } = parse(tomlBlocks()[1]!) as { signer: unknown };
  expect(Value.Check(Pkcs11Section, signer)).toBe(true);
});

test("the chapter for yubihsm-shell works with the vendor's program", async () => {
  const bench = await startBench();
  const directory = await mkdtemp(join(chroot, 'root', 'docs-'));
  onTestFinished(async () => {
    await bench[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const shell = `chroot ${chroot} env -C /root/${basename(directory)} yubihsm-shell --connector ${bench.simulator.url}`;
  const byHand = blocks.filter(({ id }) => id.includes('#the-same-by-hand'));
  expect(byHand).toHaveLength(2);
  for (const { text } of byHand) {
    const script = text.replaceAll(/^yubihsm-shell/gm, shell);
    const { exitCode, stderr } = await execa('sh', ['-ec', script], { cwd: directory, reject: false });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }
  const template = decodeSshTemplate(await readTemplate(bench));
  expect(template).toMatchObject({
    caKeyIds: [0x0101],
    notBeforeOffsetSeconds: 10,
    notAfterOffsetSeconds: 86_700,
    forbiddenPrincipals: ['root'],
  });
});

async function readTemplate(bench: Bench): Promise<Uint8Array> {
  await using session = await bench.session(0x0010, await keysFromPassword('ADMIN'));
  return await session.execute(getTemplate(0x0201));
}

function tomlBlocks(): string[] {
  return blocks.filter(({ language }) => language === 'toml').map(({ text }) => text);
}
