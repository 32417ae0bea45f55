/**
 * Both CA keys are rotated, step by step, while a host looks after itself: it trusts the next keys before they sign, moves to them, drops the
 * old ones, and a connection of before stays open all the while. A host that slept through it is told what to do.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { runAgent } from './host-agent-fixture.ts';
import { certifyUser, letsIn, loginArguments, startFollowingHost } from './host-following-fixture.ts';
import type { RenewalHost } from './host-renewal-fixture.ts';

const POLLS = 60;

/** Looks until the CA knows that this host trusts so many keys of each kind; a server takes each step within a second or so. */
async function lookUntilTrusted(host: RenewalHost, count: number): Promise<void> {
  for (let poll = 0; poll < POLLS; poll += 1) {
    const { status, stderr } = await host.host('renew');
    expect(status, stderr).toBe(0);
    const { report } = await host.inventory();
    if (report?.trustedHostCas.length === count && report.trustedUserCas.length === count) return;
    await sleep(500);
  }
  throw new Error(`the host never came to trust ${count} keys of each kind`);
}

async function servedCa(host: RenewalHost): Promise<string> {
  const [served] = await host.served();
  if (served === undefined) throw new Error('sshd serves no certificate');
  return fingerprintOf(encodePublicKey(served.signatureKey));
}

/** An `ssh` that stays open and says again what it is told. */
function openConnection(
  host: RenewalHost,
  identity: string,
): AsyncDisposable & { readonly answers: (text: string) => Promise<void> } {
  const ssh = execa('ssh', [...loginArguments(host, identity), 'cat'], { reject: false, buffer: false, lines: true });
  const lines = ssh.iterable()[Symbol.asyncIterator]();
  return {
    answers: async (text) => {
      ssh.stdin.write(`${text}\n`);
      expect(await lines.next()).toEqual({ done: false, value: text }); // the end of the connection is `done`
    },
    [Symbol.asyncDispose]: async () => {
      ssh.kill();
      await ssh;
    },
  };
}

test('a host follows a whole rotation, and a connection stays open', { timeout: 300_000 }, async () => {
  await using host = await startFollowingHost();
  const { ca } = host.ca;
  const passphrase = ['--passphrase-file', ca.passphraseFile];
  const asleep = join(host.lab.directory, 'asleep');
  await cp(host.stateDirectory, asleep, { recursive: true });
  const early = await certifyUser(host, 'early');
  await using open = openConnection(host, early.identity);
  const { answers } = open;
  await answers('before the rotation');
  const first = await servedCa(host);

  for (const type of ['host', 'user']) await ca.run('rotate', 'start', '--type', type, ...passphrase);
  await lookUntilTrusted(host, 2);
  // Without --force: the CA knows that its one live host trusts both next keys.
  for (const type of ['host', 'user']) await ca.run('rotate', 'switch', '--type', type);
  const late = await certifyUserOfNewCa(host, early.certificate.signatureKey);
  for (const { identity } of [early, late]) expect(await letsIn(host, identity)).toBe(true);
  expect((await host.host('renew', '--force')).status).toBe(0);
  expect(await servedCa(host)).not.toBe(first);
  await answers('between switch and retirement');

  for (const type of ['host', 'user']) await ca.run('rotate', 'retire', '--type', type, '--force');
  await lookUntilTrusted(host, 1);
  expect(await letsIn(host, early.identity)).toBe(false);
  expect(await letsIn(host, late.identity)).toBe(true);
  const { report } = await host.inventory();
  expect(report?.trustedHostCas).toEqual([await servedCa(host)]);
  await answers('after the rotation');

  const places = ['--sshd-config', host.sshd.configPath, '--state-dir', asleep];
  const { status, code, stderr } = await runAgent(['host', 'renew', ...places]);
  expect({ status, code }, stderr).toEqual({ status: 1, code: 'ca-keys-changed' });
  expect(stderr).toContain('countersign bootstrap');
});

/** The server signs with the next key within a second or so of the switch. */
async function certifyUserOfNewCa(host: RenewalHost, old: Parameters<typeof encodePublicKey>[0]) {
  const before = fingerprintOf(encodePublicKey(old));
  for (let poll = 0; poll < POLLS; poll += 1) {
    const user = await certifyUser(host, `late-${poll}`);
    if (fingerprintOf(encodePublicKey(user.certificate.signatureKey)) !== before) return user;
    await sleep(500);
  }
  throw new Error('the CA never signed with its next key');
}
