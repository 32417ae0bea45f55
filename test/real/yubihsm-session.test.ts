/** The client's session and commands against the simulated device, over HTTP. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifySignature } from '#openssh/signature.ts';
import { keyKinds, type KeyKind } from '#ca-lite/yubihsm/algorithms.ts';
import { capabilityBits, capabilityNames } from '#ca-lite/yubihsm/capabilities.ts';
import { getPublicKey, putAsymmetricKey, signEcdsa, signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { changeAuthenticationKey } from '#ca-lite/yubihsm/commands/authentication-key.ts';
import { echo, getDeviceInfo, getPseudoRandom, getStorageInfo, resetDevice } from '#ca-lite/yubihsm/commands/device.ts';
import { getLogEntries, setLogIndex } from '#ca-lite/yubihsm/commands/log.ts';
import { deleteObject, getObjectInfo, listObjects } from '#ca-lite/yubihsm/commands/objects.ts';
import { getCommandAudit, getForceAudit, setCommandAudit, setForceAudit } from '#ca-lite/yubihsm/commands/options.ts';
import { getTemplate, putTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { exportWrapped, importWrapped, putWrapKey } from '#ca-lite/yubihsm/commands/wrap.ts';
import { openConnector } from '#ca-lite/yubihsm/connector.ts';
import { allDomains, domainBits } from '#ca-lite/yubihsm/domains.ts';
import { verifyLogChain } from '#ca-lite/yubihsm/log-chain.ts';
import { plainSignature, plainSignCommand } from '#ca-lite/yubihsm/plain-signature.ts';
import { defaultSignatureAlgorithm, sshPublicKey } from '#ca-lite/yubihsm/public-key.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { openSession } from '#ca-lite/yubihsm/session.ts';
import { factoryKeys, makeAuthKey, makeKey, startBench } from './yubihsm-fixture.ts';

const data = new TextEncoder().encode('what is to be signed');

describe('sessions', () => {
  test('a session is opened, used and closed, and its slot is free again', async () => {
    await using bench = await startBench();
    const session = await bench.session();
    expect(bench.simulator.device.statistics.openSessions).toBe(1);
    await session.execute(echo(data));
    await session.close();
    expect(bench.simulator.device.statistics.openSessions).toBe(0);
    await expect(session.execute(echo(data))).rejects.toMatchObject({ code: 'session-lost' });
  });

  test('a wrong password is told apart from an unknown key, and neither costs a slot', async () => {
    await using bench = await startBench();
    const keys = await keysFromPassword('wrong');
    await expect(bench.session(1, keys)).rejects.toMatchObject({ code: 'device-authentication-failed' });
    await expect(bench.session(7)).rejects.toMatchObject({ code: 'device-object-not-found' });
    expect(bench.simulator.device.statistics.openSessions).toBe(0);
  });

  test('the seventeenth session is refused, and one that is idle for 30 seconds makes room', async () => {
    let now = 0;
    await using bench = await startBench({ now: () => now });
    for (let i = 0; i < 16; i++) await bench.session();
    await expect(bench.session()).rejects.toMatchObject({ code: 'device-sessions-full' });
    now += 30_001;
    await using late = await bench.session();
    await late.keepAlive();
  });

  test('an expired session is lost; one whose slot went to somebody else fails its authentication', async () => {
    let now = 0;
    await using bench = await startBench({ now: () => now });
    const sessions = [];
    for (let i = 0; i < 16; i++) sessions.push(await bench.session());
    now += 30_001;
    await expect(sessions[1]!.execute(echo(data))).rejects.toMatchObject({ code: 'session-lost' });
    await using other = await bench.session();
    await expect(sessions[0]!.execute(echo(data))).rejects.toMatchObject({ code: 'message-mac-refused' });
    expect(sessions[0]!.lost).toBe(true);
    await other.keepAlive();
  });

  test('a session does one command at a time', async () => {
    await using bench = await startBench();
    await using session = await bench.session();
    const first = session.execute(echo(data));
    await expect(session.execute(echo(data))).rejects.toThrow(TypeError);
    await first;
  });

  test.each([
    [{ kind: 'drop', when: 'before' }, 'outcome-unknown'],
    [{ kind: 'drop', when: 'after' }, 'outcome-unknown'],
    [{ kind: 'corrupt' }, 'answer-mac-mismatch'],
    [{ kind: 'power-cut', when: 'before' }, 'session-lost'],
    [{ kind: 'power-cut', when: 'during' }, 'connector-failed'],
    [{ kind: 'refuse', number: 3 }, 'session-lost'],
    [{ kind: 'refuse', number: 4 }, 'message-mac-refused'],
  ] as const)('after %o the session is lost with a code that tells why: %s', async (fault, code) => {
    await using bench = await startBench();
    const session = await bench.session();
    bench.simulator.faults.plan({ fault });
    await expect(session.execute(echo(data))).rejects.toMatchObject({ code });
    expect(session.lost).toBe(true);
  });

  test('a command that takes too long is given up', async () => {
    await using bench = await startBench();
    const session = await bench.session();
    bench.simulator.faults.plan({ fault: { kind: 'delay', ms: 200 } });
    await expect(session.execute(echo(data), AbortSignal.timeout(20))).rejects.toMatchObject({
      code: 'outcome-unknown',
    });
  });
});

describe('connector', () => {
  test('tells its status', async () => {
    await using bench = await startBench();
    const signal = AbortSignal.timeout(5000);
    expect(await bench.connector.status(signal)).toEqual({ deviceFound: true, version: '3.0.7' });
    bench.simulator.faults.deviceGone = true;
    expect(await bench.connector.status(signal)).toEqual({ deviceFound: false, version: '3.0.7' });
    await expect(bench.session()).rejects.toMatchObject({ code: 'connector-failed' });
  });

  test('that is not there is told apart from one that breaks off', async () => {
    await using bench = await startBench();
    await bench.simulator.stopConnector();
    await expect(bench.session()).rejects.toMatchObject({ code: 'connector-unreachable' });
    await bench.simulator.startConnector();
    await using session = await bench.session();
    await session.keepAlive();
  });

  test.each(['ftp://127.0.0.1', 'http://u:p@127.0.0.1', 'http://127.0.0.1/path', '127.0.0.1:12345', ''])(
    '%o is no connector',
    (url) => {
      expect(() => openConnector(url)).toThrow(expect.objectContaining({ code: 'bad-input' }));
    },
  );
});

describe('commands', () => {
  test('device, storage, random bytes', async () => {
    await using bench = await startBench({ serial: 4711 });
    await using session = await bench.session();
    const info = await session.execute(getDeviceInfo());
    expect(info).toMatchObject({ firmware: [2, 4, 0], serial: 4711, logTotal: 62, logUsed: 2 });
    expect(info.algorithms).toContain('template-ssh');
    expect(await session.execute(getStorageInfo())).toMatchObject({ totalRecords: 256, freeRecords: 255 });
    expect(await session.execute(getPseudoRandom(32))).toHaveLength(32);
  });

  test.each(Object.keys(keyKinds) as KeyKind[])('a key of kind %s signs, and the signature verifies', async (kind) => {
    await using bench = await startBench();
    await using session = await bench.session();
    await makeKey(session, 5, kind, keyKinds[kind].capability);
    const raw = await session.execute(getPublicKey(5));
    expect(raw.kind).toBe(kind);
    const algorithm = defaultSignatureAlgorithm(kind);
    for (let round = 0; round < 8; round++) {
      const answer = await session.execute(plainSignCommand(5, kind, algorithm, data));
      expect(verifySignature(sshPublicKey(raw), data, plainSignature(kind, algorithm, answer))).toBe(true);
    }
  });

  test('objects are listed, described and deleted', async () => {
    await using bench = await startBench();
    await using session = await bench.session();
    await makeKey(session, 0x21, 'ed25519', 'sign-eddsa', 'exportable-under-wrap');
    expect(await session.execute(listObjects('asymmetric-key'))).toEqual([
      { id: 0x21, type: 'asymmetric-key', sequence: 0 },
    ]);
    const info = await session.execute(getObjectInfo(0x21, 'asymmetric-key'));
    expect(info).toMatchObject({ label: 'key 33', algorithm: 'ed25519', domains: allDomains, length: 128 });
    expect(capabilityNames(info.capabilities)).toEqual(['sign-eddsa', 'exportable-under-wrap']);
    expect(info.origin).toEqual({ generated: true, imported: false, importedUnderWrap: false });
    await session.execute(deleteObject(0x21, 'asymmetric-key'));
    const gone = session.execute(getObjectInfo(0x21, 'asymmetric-key'));
    await expect(gone).rejects.toMatchObject({ code: 'device-object-not-found' });
    await makeKey(session, 0x21, 'ed25519', 'sign-eddsa');
    expect(await session.execute(listObjects('asymmetric-key'))).toMatchObject([{ sequence: 1 }]);
  });

  test('a missing capability is named', async () => {
    await using bench = await startBench();
    await using admin = await bench.session();
    await makeKey(admin, 5, 'ecp256', 'sign-ecdsa');
    const keys = await makeAuthKey(admin, 2, 'two', ['sign-eddsa']);
    await using session = await bench.session(2, keys);
    const digest = createHash('sha256').update(data).digest();
    const refused = session.execute(signEcdsa(5, digest));
    await expect(refused).rejects.toMatchObject({ code: 'device-insufficient-permissions' });
    await expect(refused).rejects.toThrow(/sign-ecdsa/);
    expect(session.lost).toBe(false);
  });

  test('what is in a foreign domain is not there', async () => {
    await using bench = await startBench();
    await using admin = await bench.session();
    const header = { id: 5, label: '', capabilities: capabilityBits('sign-eddsa'), algorithm: 'ed25519' } as const;
    await admin.execute(putAsymmetricKey({ ...header, domains: domainBits(3) }, new Uint8Array(32).fill(9)));
    const keys = await makeAuthKey(admin, 2, 'two', ['sign-eddsa'], domainBits(1, 2));
    await using session = await bench.session(2, keys);
    await expect(session.execute(signEddsa(5, data))).rejects.toMatchObject({ code: 'device-object-not-found' });
    expect(await session.execute(listObjects('asymmetric-key'))).toEqual([]);
  });

  test('an authentication key changes its own password only', async () => {
    await using bench = await startBench();
    await using admin = await bench.session();
    const old = await makeAuthKey(admin, 2, 'old', ['change-authentication-key']);
    const fresh = await keysFromPassword('new');
    await expect(admin.execute(changeAuthenticationKey(2, fresh))).rejects.toMatchObject({ code: 'device-invalid-id' });
    const session = await bench.session(2, old);
    expect(await session.execute(changeAuthenticationKey(2, fresh))).toBe(2);
    await session.close();
    await expect(bench.session(2, old)).rejects.toMatchObject({ code: 'device-authentication-failed' });
    await (await bench.session(2, fresh)).close();
  });

  test('a template is read back as it was stored', async () => {
    await using bench = await startBench();
    await using session = await bench.session();
    const bytes = new Uint8Array(300).map((_, index) => index & 0xff);
    await session.execute(putTemplate({ id: 10, label: 't', domains: 1, capabilities: 0n }, bytes));
    expect(await session.execute(getTemplate(10))).toEqual(bytes);
  });

  test.each(['rsa2048', 'ecp256', 'ecp521', 'ed25519'] as const)(
    'a key of kind %s travels to a second device under a wrap key, and signs there',
    async (kind) => {
      await using first = await startBench();
      await using second = await startBench({ firmware: [2, 3, 2] });
      const capability = keyKinds[kind].capability;
      const header = {
        id: 0x77,
        label: 'wrap',
        domains: allDomains,
        capabilities: capabilityBits('export-wrapped', 'import-wrapped'),
        delegated: capabilityBits(capability, 'exportable-under-wrap'),
      };
      await using from = await first.session();
      await using to = await second.session();
      await makeKey(from, 5, kind, capability, 'exportable-under-wrap');
      for (const session of [from, to]) await session.execute(putWrapKey(header, new Uint8Array(32).fill(3)));
      const wrapped = await from.execute(exportWrapped(0x77, 'asymmetric-key', 5));
      expect(await to.execute(importWrapped(0x77, wrapped))).toEqual({ type: 'asymmetric-key', id: 5 });
      const raw = await from.execute(getPublicKey(5));
      expect(await to.execute(getPublicKey(5))).toEqual(raw);
      const { origin } = await to.execute(getObjectInfo(5, 'asymmetric-key'));
      expect(origin).toMatchObject({ importedUnderWrap: true });
      const algorithm = defaultSignatureAlgorithm(kind);
      const answer = await to.execute(plainSignCommand(5, kind, algorithm, data));
      expect(verifySignature(sshPublicKey(raw), data, plainSignature(kind, algorithm, answer))).toBe(true);
      const changed = wrapped.slice();
      changed[20]! ^= 1;
      await to.execute(deleteObject(5, 'asymmetric-key'));
      await expect(to.execute(importWrapped(0x77, changed))).rejects.toMatchObject({ code: 'device-invalid-data' });
    },
  );

  test('the log is written when it is switched on, chains, and is freed', async () => {
    await using bench = await startBench();
    await using session = await bench.session();
    await makeKey(session, 5, 'ed25519', 'sign-eddsa');
    await session.execute(setCommandAudit(['SIGN EDDSA'], 'on'));
    expect((await session.execute(getCommandAudit())).get(0x6a)).toBe('on');
    for (let i = 0; i < 3; i++) await session.execute(signEddsa(5, data));
    const { entries } = await session.execute(getLogEntries());
    expect(entries.map(({ command }) => command)).toEqual([0xff, 0, 0x6a, 0x6a, 0x6a]);
    expect(entries[2]).toMatchObject({ sessionKey: 1, targetKey: 5, result: 0xea, length: data.length + 2 });
    const { position } = verifyLogChain(entries);
    await session.execute(setLogIndex(entries.at(-1)!.number));
    await session.execute(signEddsa(5, data));
    const next = await session.execute(getLogEntries());
    expect(verifyLogChain(next.entries, position)).toMatchObject({ linked: true, fresh: [{ command: 0x6a }] });
  });

  test('a forced log that is full refuses signatures, and goes on when it is freed', async () => {
    await using bench = await startBench();
    await using session = await bench.session();
    await makeKey(session, 5, 'ed25519', 'sign-eddsa');
    await session.execute(setForceAudit('on'));
    expect(await session.execute(getForceAudit())).toBe('on');
    await session.execute(setCommandAudit(['SIGN EDDSA'], 'on'));
    for (let i = 0; i < 60; i++) await session.execute(signEddsa(5, data));
    await expect(session.execute(signEddsa(5, data))).rejects.toMatchObject({ code: 'device-log-full' });
    await session.execute(setLogIndex(62));
    expect(await session.execute(signEddsa(5, data))).toHaveLength(64);
  });

  test('a reset leaves the factory state', async () => {
    await using bench = await startBench();
    const session = await bench.session();
    await makeKey(session, 5, 'ed25519', 'sign-eddsa');
    await session.execute(resetDevice());
    await expect(session.keepAlive()).rejects.toMatchObject({ code: 'session-lost' });
    await using again = await openSession({ connector: bench.connector, authKeyId: 1, keys: factoryKeys });
    expect(await again.execute(listObjects())).toEqual([{ id: 1, type: 'authentication-key', sequence: 0 }]);
  });
});
