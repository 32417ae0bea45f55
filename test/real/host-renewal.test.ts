/** `countersign host renew` against the real CA program and a real sshd. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type RenewalHost, serialOf, startRenewalHost } from './host-renewal-fixture.ts';

interface RenewReport {
  readonly keys: readonly {
    readonly did: string;
    readonly reported: boolean;
    readonly waitingAfter: string | null;
    readonly certificate: { readonly serial: string };
    readonly failure: { readonly code: string } | null;
  }[];
}

/** A session whose remote `cat` gives back what it is given. */
function openSession({ sshd, identity }: RenewalHost) {
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes'];
  const given = [...options, `IdentityFile=${identity}`, 'IdentityAgent=none'].flatMap((option) => ['-o', option]);
  const where = ['-p', String(sshd.port), `${userInfo().username}@${sshd.address}`, 'cat'];
  const child = spawn('ssh', ['-F', 'none', '-T', ...given, ...where], { stdio: ['pipe', 'pipe', 'pipe'] });
  return {
    echo: async (text: string): Promise<string> => {
      const answer = once(child.stdout, 'data');
      child.stdin.write(text);
      const [data] = (await answer) as [Buffer];
      return data.toString();
    },
    end: async (): Promise<number | null> => {
      const exit = once(child, 'exit');
      child.stdin.end();
      const [code] = (await exit) as [number | null];
      return code;
    },
  };
}

test('every key gets a new certificate, in use and reported, and no connection is dropped', async () => {
  await using host = await startRenewalHost({ keys: ['ed25519', 'ecdsa'] });
  const session = openSession(host);
  expect(await session.echo('before')).toBe('before');
  const before = await host.served();

  const nothing = await host.host('renew', '--json');
  expect(nothing.status, nothing.stderr).toBe(0);
  expect((JSON.parse(nothing.stdout) as RenewReport).keys.map(({ did }) => did)).toEqual(['nothing', 'nothing']);
  expect((await host.served()).map(serialOf)).toEqual(before.map(serialOf));

  const forced = await host.host('renew', '--force', '--json');
  expect(forced.status, forced.stderr).toBe(0);
  const { keys } = JSON.parse(forced.stdout) as RenewReport;
  expect(keys).toMatchObject([
    { did: 'renewed', reported: true, failure: null },
    { did: 'renewed', reported: true, failure: null },
  ]);
  const after = await host.served();
  expect(after.map(serialOf).toSorted()).toEqual(keys.map(({ certificate }) => certificate.serial).toSorted());
  expect(after.map(serialOf)).not.toEqual(before.map(serialOf));
  expect(after.map((one) => one?.principals)).toEqual(before.map((one) => one?.principals));

  expect(await session.echo('after')).toBe('after');
  expect(await session.end()).toBe(0);
  const { lineage, report } = await host.inventory();
  expect(lineage?.state).toBe('active');
  expect(after.map(serialOf)).toContain(report?.serial);
  expect((await host.host('status')).status).toBe(0);
});

test('an expired certificate renews when an administrator gave leave, by the command that the refusal names', async () => {
  await using host = await startRenewalHost({ settings: { certificates: { host_lifetime: '10s', backdate: '1s' } } });
  const [before] = await host.served();
  while (BigInt(Math.floor(Date.now() / 1000)) < (before?.validBefore ?? 0n)) await sleep(200);

  const refused = await host.host('renew');
  expect(refused).toMatchObject({ status: 1, code: 'ca-refused' });
  const lineage = (await host.inventory()).lineage?.lineage ?? '';
  expect(refused.stderr).toContain(`countersign-ca grant --lineage ${lineage} --for 24h`);
  expect(refused.stderr).toContain('renewal-expired');
  const patient = await host.host('renew', '--json');
  expect((JSON.parse(patient.stdout) as RenewReport).keys[0]).toMatchObject({
    did: 'nothing',
    waitingAfter: 'renewal-expired',
  });
  expect((await host.served()).map(serialOf)).toEqual([serialOf(before)]);

  await host.ca.ca.run('grant', '--lineage', lineage, '--for', '24h');
  const renewed = await host.host('renew', '--force');
  expect(renewed.status, renewed.stderr).toBe(0);
  expect((await host.served()).map(serialOf)).not.toEqual([serialOf(before)]);
});

test('a host that is not enrolled says so', async () => {
  await using host = await startRenewalHost();
  expect((await host.host('remove')).status).toBe(0);
  expect(await host.host('renew')).toMatchObject({ status: 1, code: 'not-enrolled' });
});
