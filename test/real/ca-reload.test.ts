/** SIGHUP to `countersign-ca serve`: ca.toml is read anew, whole or not at all, and nobody notices but those whom it concerns. */
import { generateKeyPairSync } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { makeCa } from '#test/support/ca.ts';
import { EnrolmentClient, hostKeyPair } from '#test/support/enrolment-client.ts';

test(
  'a changed policy counts at once, what cannot change is named, a broken file changes nothing',
  { timeout: 300_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const within = await mkdtemp(join(tmpdir(), 'countersign-reload-'));
    stack.defer(async () => rm(within, { recursive: true, force: true }));
    const ca = await makeCa({ within, quick: true });
    const running = stack.use(await ca.serve());
    const client = stack.use(new EnrolmentClient({ url: running.url, rootPem: await ca.rootPem() }));
    const { fingerprint } = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
    /** The first thing that policy has against this name at an address that is never allowed. */
    const codeFor = async (name: string) => {
      const claim = { names: [name], addresses: ['10.99.0.1'], port: 22, fingerprint };
      return (await client.challenge(claim)).json?.code;
    };
    const reload = async (times: number, words: string) => {
      running.process.signal('SIGHUP');
      await running.process.until((one) => one.stderr().split(words).length > times);
    };
    expect(await codeFor('web.lab.example')).toBe('address-not-allowed');
    expect(await codeFor('web.other.example')).toBe('name-not-allowed');

    await ca.set({ enrolment: { names: ['**.other.example'] }, log: { level: 'debug' } });
    await ca.set({ '': { dns_names: ['new.lab.example'] }, store: { path: 'db/elsewhere.sqlite' } });
    await reload(1, 'count from the next start');
    expect(await codeFor('web.lab.example')).toBe('name-not-allowed');
    expect(await codeFor('web.other.example')).toBe('address-not-allowed');
    expect((await client.request('GET', '/health')).status).toBe(200); // by its old names

    const { config } = caLayout(ca.directory);
    const good = await readFile(config, 'utf8');
    await ca.set({ enrolment: { names: ['*'], ports: [70_000] }, certificates: { host_lifetime: '1d' } });
    await reload(1, 'The settings from before stay in force');
    expect(running.process.stderr()).toMatch(/enrolment\.names\[0\]/);
    expect(await codeFor('web.other.example')).toBe('address-not-allowed');
    await rm(config);
    await reload(2, 'The settings from before stay in force');

    await writeFile(config, good.replaceAll('other.example', 'third.example'), { mode: 0o600 });
    await appendFile(
      config,
      '[[oidc]]\nname = "office"\nissuer = "https://id.example"\nclient_id = "ssh"\nprincipals = [{ from = "fixed", principals = ["alice"] }]\n',
    );
    await reload(2, 'ca.toml was read anew');
    expect(await codeFor('web.third.example')).toBe('address-not-allowed');
    expect((await client.request('GET', '/provisioners')).text).toContain('https://id.example');

    expect(await running.process.stop()).toEqual({ code: 0, signal: null });
    await writeFile(config, good.replace('elsewhere', 'countersign'), { mode: 0o600 });
    const entries = await ca.json<{ outcome: string; code: string; details: unknown }[]>(
      'audit',
      '--action',
      'config-reload',
    );
    expect(entries.toReversed().map(({ outcome, code, details }) => ({ outcome, code, details }))).toEqual([
      { outcome: 'allowed', code: 'ok', details: { taken: ['enrolment', 'log'], kept: ['dns_names', 'store'] } },
      {
        outcome: 'refused',
        code: 'config-invalid',
        details: { faults: expect.arrayContaining(['enrolment.names[0]']) as unknown },
      },
      { outcome: 'refused', code: 'config-unreadable', details: {} },
      { outcome: 'allowed', code: 'ok', details: { taken: ['enrolment', 'oidc'], kept: ['dns_names', 'store'] } },
    ]);
  },
);
