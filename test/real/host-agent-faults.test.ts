/**
 * An install that cannot succeed: read-only /etc, a full disk, a configuration that sshd refuses, a reload that fails or does nothing.
 * The old state stands, sshd answers, and the message says which. As root with real mounts, else with permissions and limits.
 */
import { chmod, mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { openCaClient } from '#agent/ca/ca-client.ts';
import { installCertificates, obtainCertificate, planEnrolment } from '#agent/host/enrol-host.ts';
import { openHost } from '#agent/host/host-context.ts';
import { HostError } from '#agent/host/host-error.ts';
import { hostDirectory } from '#agent/host/host-record.ts';
import { requireAuthority } from '#agent/state/authority.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { firstKey } from '#test/support/across-reload.ts';
import { readTree } from '#test/support/file-tree.ts';
import { SSHD } from '#test/support/sshd.ts';
import { type AgentResult, type TestHost, runAgent, startHost } from './host-agent-fixture.ts';

const isRoot = process.getuid?.() === 0;

async function expectOldState(host: TestHost, before: readonly string[]): Promise<void> {
  expect(await readTree(host.sshd.etc)).toEqual(before);
  expect(await host.servedCertificate()).toBeUndefined();
  expect(await host.servedKey()).toBe(fingerprintOf(firstKey(host.sshd).blob));
}

function enrollArgs(host: TestHost): string[] {
  return ['host', 'enroll', '--name', 'localhost', '--ip', '127.0.0.1', ...host.places];
}

/** Root: a read-only bind mount that the agent alone sees. Others: a directory without the right to write. */
async function enrollReadOnly(host: TestHost): Promise<AgentResult> {
  if (isRoot) {
    const script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
    return runAgent(enrollArgs(host), ['unshare', '-m', 'sh', '-c', script, host.sshd.etc]);
  }
  for (const directory of [host.sshd.etc, host.sshd.dropInDirectory]) await chmod(directory, 0o555);
  const result = await runAgent(enrollArgs(host));
  for (const directory of [host.sshd.etc, host.sshd.dropInDirectory]) await chmod(directory, 0o755);
  return result;
}

async function mountSmall(directory: string): Promise<AsyncDisposable> {
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=755', 'none', directory]);
  return { [Symbol.asyncDispose]: async () => void (await execa('umount', [directory])) };
}

/** Takes every free byte. */
async function fill(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  await writeFile(join(directory, 'filler'), new Uint8Array(bavail * bsize));
}

describe('before the CA is asked', () => {
  test('a read-only /etc is found', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    expect(await enrollReadOnly(host)).toMatchObject({ status: 1, code: 'not-writable' });
    await expectOldState(host, before);
    expect(host.ca.requests).not.toContain('GET /host/challenge');
  });

  test('a full disk is found', async () => {
    await using host = await startHost({ sshd: isRoot ? { prepareEtc: mountSmall } : {} });
    if (isRoot) await fill(host.sshd.etc);
    const before = await readTree(host.sshd.etc);
    const limited = ['sh', '-c', 'trap "" XFSZ; ulimit -f 1; exec "$@"', 'limited'];
    expect(await runAgent(enrollArgs(host), isRoot ? [] : limited)).toMatchObject({ status: 1, code: 'not-writable' });
    await expectOldState(host, before);
    expect(host.ca.requests).not.toContain('GET /host/challenge');
  });

  test('an sshd that is not there, does not run, or has another key is found', async () => {
    await using host = await startHost();
    expect(await host.enroll('--sshd', '/nowhere/sshd')).toMatchObject({ status: 1, code: 'sshd-not-found' });
    expect(await host.enroll('--sshd', 'sshd')).toMatchObject({ status: 1, code: 'sshd-not-found' });
    const other = join(host.sshd.etc, 'other_key');
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const config = await readFile(host.sshd.configPath, 'utf8');
    await writeFile(host.sshd.configPath, config.replace(/^HostKey .*$/m, `HostKey ${other}`));
    expect(await host.enroll()).toMatchObject({ status: 1, code: 'key-not-served' });
    await host.sshd.stop();
    expect(await host.enroll()).toMatchObject({ status: 1, code: 'sshd-not-answering' });
    await writeFile(host.sshd.configPath, 'Nonsense yes\n');
    const { status, code, stderr } = await host.enroll();
    expect({ status, code }).toEqual({ status: 1, code: 'sshd-config-unreadable' });
    expect(stderr).toContain('bad configuration options');
    expect(host.ca.requests).not.toContain('GET /host/challenge');
  });

  test('HostKeyAlgorithms without certificates are found', async () => {
    await using host = await startHost({ sshd: { config: ['HostKeyAlgorithms ssh-ed25519'] } });
    expect(await host.enroll()).toMatchObject({ status: 1, code: 'certificates-disabled' });
  });

  test('no trusted CA is found', async () => {
    await using host = await startHost();
    await rm(join(host.stateDirectory, 'authority.json'));
    expect(await host.enroll()).toMatchObject({ status: 1, code: 'not-bootstrapped' });
  });
});

describe('after the CA answered', () => {
  test('a configuration that sshd refuses goes back before any reload', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    const dropIn = join(host.sshd.dropInDirectory, '50-countersign.conf');
    const picky = await writeScript(host, [
      `case "$*" in *-t*) if [ -e ${dropIn} ]; then echo 'no such luck' >&2; exit 255; fi;; esac`,
      `exec ${SSHD} "$@"`,
    ]);
    const { status, code, stderr } = await host.enroll('--sshd', picky);
    expect({ status, code }).toEqual({ status: 1, code: 'sshd-config-rejected' });
    expect(stderr).toContain('no such luck');
    expect(stderr).toContain('Every file is as it was');
    await expectOldState(host, before);
    expect(host.sshd.log()).not.toContain('Received SIGHUP');
  });

  test('a reload that fails goes back', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    const { status, code, stderr } = await host.enroll('--reload', '/bin/false');
    expect({ status, code }).toEqual({ status: 1, code: 'reload-failed' });
    expect(stderr).toContain('It could not be reloaded');
    await expectOldState(host, before);
  });

  test('a reload that does nothing is noticed, and the install is repeated with the same certificate', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    const { status, code, stderr } = await host.enroll('--reload', '/bin/true');
    expect({ status, code }).toEqual({ status: 1, code: 'certificate-not-served' });
    expect(stderr).toContain('Every file is as it was, and sshd answers as before.');
    await expectOldState(host, before);
    const again = await host.enroll('--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ changed: true, keys: [{ reused: true }] });
    expect(host.ca.requests.filter((request) => request === 'POST /ssh/sign')).toHaveLength(1);
    expect((await host.servedCertificate())?.certificate?.principals).toEqual(['localhost']);
  });

  test('a disk that fills up in the middle of writing goes back', async () => {
    await using host = await startHost({ sshd: isRoot ? { prepareEtc: mountSmall } : {} });
    const before = await readTree(host.sshd.etc);
    const failure = await installWith(host, async (step, path) => {
      if (step !== 'next' || !path.endsWith('50-countersign.conf')) return;
      if (isRoot) await fill(host.sshd.etc);
      else await chmod(host.sshd.dropInDirectory, 0o555);
    });
    expect(failure).toMatchObject({ code: 'change-failed' });
    if (isRoot) await rm(join(host.sshd.etc, 'filler'));
    else await chmod(host.sshd.dropInDirectory, 0o755);
    await expectOldState(host, before);
  });

  test('a stop by Ctrl-C in the middle goes back', async () => {
    await using host = await startHost();
    const before = await readTree(host.sshd.etc);
    const slow = await writeScript(host, ['kill -INT $PPID', 'sleep 0.3']);
    const { status, code } = await host.enroll('--reload', slow);
    expect({ status, code }).toEqual({ status: 1, code: 'interrupted' });
    await expectOldState(host, before);
  });
});

async function writeScript({ scratch }: TestHost, lines: readonly string[]): Promise<string> {
  const path = join(scratch, 'script');
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

/** The whole enrolment in this process, with a hook before each step of the file changes. */
async function installWith(host: TestHost, onStep: (step: string, path: string) => Promise<void>): Promise<unknown> {
  const { stateDirectory, ca, sshd } = host;
  await mkdir(hostDirectory(stateDirectory), { recursive: true });
  const context = await openHost({ stateDirectory, sshdConfig: sshd.configPath });
  const authority = await requireAuthority(stateDirectory);
  const asked = { names: ['localhost'], addresses: ['127.0.0.1'], allKeys: false, trustUsers: true, replace: false };
  const plan = await planEnrolment(context, authority, asked);
  await using client = openCaClient({ url: ca.url, root: authority.rootCertificate });
  const enrolled = await Promise.all(
    plan.keys.map(async (key) => obtainCertificate(context, authority, plan, key, client)),
  );
  try {
    await installCertificates(context, authority, plan, enrolled, { onStep });
    return undefined;
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
}
