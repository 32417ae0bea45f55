/** The device pool against simulated devices: keeping sessions, losing them, queues, two devices, the audit log. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { AuditDrain, type DeviceLogBatch, type DeviceLogSink } from '#ca-lite/yubihsm/audit-drain.ts';
import { signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import type { Command } from '#ca-lite/yubihsm/commands/command.ts';
import { echo } from '#ca-lite/yubihsm/commands/device.ts';
import { setCommandAudit, setForceAudit } from '#ca-lite/yubihsm/commands/options.ts';
import { DevicePool, type DevicePoolOptions } from '#ca-lite/yubihsm/device-pool.ts';
import { HsmError } from '#ca-lite/yubihsm/errors.ts';
import type { HsmEvent } from '#ca-lite/yubihsm/hsm-event.ts';
import type { LogPosition } from '#ca-lite/yubihsm/log-chain.ts';
import type { RecordedSignature } from '#ca-lite/yubihsm/log-join.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import type { Device } from '#test/yubihsm-simulator/device.ts';
import { type Bench, factoryKeys, HandClock, makeAuthKey, makeKey, startBench } from './yubihsm-fixture.ts';

const signNumber = 0x6a;
const data = new TextEncoder().encode('x'.repeat(200));
/** Requests that are at least so long are signatures, not echoes. */
const signatureBytes = 100;
const patience = { timeout: 60_000, interval: 1 };

function sign(): Command<Uint8Array> {
  return signEddsa(5, data);
}

function signaturesOf(device: Device): number {
  return device.statistics.executed.get(signNumber) ?? 0;
}

async function benchWithKey(options?: Parameters<typeof startBench>[0]): Promise<Bench> {
  const bench = await startBench(options);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  await using session = await bench.session();
  await makeKey(session, 5, 'ed25519', 'sign-eddsa');
  return bench;
}

function poolOf(benches: readonly Bench[], options: Partial<DevicePoolOptions> = {}): DevicePool {
  const devices = benches.map(({ connector }) => ({ connector, authKeyId: 1, keys: factoryKeys }));
  const pool = new DevicePool({ devices, ...options });
  onTestFinished(() => pool[Symbol.asyncDispose]());
  return pool;
}

describe('one session', () => {
  test('serves many commands, and is closed with the pool', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    await Promise.all(Array.from({ length: 20 }, () => pool.execute(sign(), { priority: 'host' })));
    expect(bench.simulator.device.statistics).toMatchObject({ openSessions: 1, mostSessions: 1 });
    await pool[Symbol.asyncDispose]();
    expect(bench.simulator.device.statistics.openSessions).toBe(0);
    await expect(pool.execute(sign(), { priority: 'user' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('lives through an hour without work', async () => {
    const clock = new HandClock();
    const bench = await benchWithKey({ now: clock.now });
    const pool = poolOf([bench], { clock });
    await pool.execute(sign(), { priority: 'user' });
    const echoes = (): number => bench.simulator.device.statistics.executed.get(1) ?? 0;
    for (let minute = 0; minute < 60; minute++) {
      const before = echoes();
      for (let quarter = 0; quarter < 4; quarter++) {
        await vi.waitUntil(() => clock.waiting > 0, patience);
        clock.advance(15_000);
      }
      await vi.waitUntil(() => echoes() >= before + 4, patience);
    }
    await pool.execute(sign(), { priority: 'user' });
    expect(bench.simulator.device.statistics.mostSessions).toBe(1);
  });

  test('that expired while the process was stopped costs no signature', async () => {
    const clock = new HandClock();
    const bench = await benchWithKey({ now: clock.now });
    const pool = poolOf([bench], { clock });
    await pool.execute(sign(), { priority: 'user' });
    await vi.waitUntil(() => clock.waiting > 0, patience);
    clock.advance(3_600_000);
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
    expect(signaturesOf(bench.simulator.device)).toBe(2);
  });

  test('whose slot another client took while the process was stopped costs no signature', async () => {
    let now = 0;
    const clock = new HandClock();
    const bench = await benchWithKey({ now: () => now });
    const pool = poolOf([bench], { clock });
    await pool.execute(sign(), { priority: 'user' });
    now += 30_001;
    for (let i = 0; i < 16; i++) await bench.session();
    now += 30_001;
    await vi.waitUntil(() => clock.waiting > 0, patience);
    clock.advance(60_000);
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
  });

  test('waits for a slot that a crashed predecessor left open', async () => {
    const clock = new HandClock();
    const bench = await benchWithKey({ now: clock.now });
    for (let i = 0; i < 16; i++) await bench.session();
    const pool = poolOf([bench], { clock });
    const signature = pool.execute(sign(), { priority: 'user' });
    const settled = vi.fn<() => void>();
    void signature.then(settled);
    while (settled.mock.calls.length === 0) {
      await vi.waitUntil(() => clock.waiting > 0 || settled.mock.calls.length > 0, patience);
      clock.advance(5_000);
    }
    expect(await signature).toHaveLength(64);
    expect(clock.now()).toBeGreaterThan(30_000);
  });
});

describe('a lost session', () => {
  test.each([
    ['the device does not know it any more', { kind: 'refuse', number: 3 }, 2],
    ['its power was cut before the command', { kind: 'power-cut', when: 'before' }, 1],
    ['its power was cut in the middle of the signature', { kind: 'power-cut', when: 'during' }, 2],
    ['the connection broke before the command', { kind: 'drop', when: 'before' }, 1],
    ['the answer was lost', { kind: 'drop', when: 'after' }, 2],
  ] as const)('is opened again and the signature sent once more: %s', async (_, fault, executed) => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    await pool.execute(sign(), { priority: 'user' });
    bench.simulator.faults.plan({ fault, minBytes: signatureBytes });
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
    expect(signaturesOf(bench.simulator.device)).toBe(1 + executed);
  });

  test('is not tried a third time', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    const fault = { fault: { kind: 'drop', when: 'after' }, minBytes: signatureBytes } as const;
    bench.simulator.faults.plan(fault, fault);
    await expect(pool.execute(sign(), { priority: 'user' })).rejects.toMatchObject({ code: 'outcome-unknown' });
    expect(signaturesOf(bench.simulator.device)).toBe(2);
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
  });

  test.each([
    ['an answer that is not authentic', { kind: 'corrupt' }, 'answer-mac-mismatch'],
    ['a refusal for a wrong MAC', { kind: 'refuse', number: 4 }, 'message-mac-refused'],
  ] as const)('after %s a signature is not repeated, and the next one works', async (_, fault, code) => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    bench.simulator.faults.plan({ fault, minBytes: signatureBytes });
    await expect(pool.execute(sign(), { priority: 'user' })).rejects.toMatchObject({ code });
    expect(signaturesOf(bench.simulator.device)).toBe(1);
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
  });

  test('after an answer that is not authentic a reading command is repeated', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    bench.simulator.faults.plan({ fault: { kind: 'corrupt' }, minBytes: signatureBytes });
    await pool.execute(echo(data), { priority: 'user' });
    expect(bench.simulator.device.statistics.executed.get(1)).toBe(2);
  });

  test('the connector is killed and started again under load: nothing is lost', async () => {
    const bench = await benchWithKey();
    const events: HsmEvent[] = [];
    const pool = poolOf([bench], { report: (event) => events.push(event) });
    const signatures = Array.from({ length: 150 }, () => pool.execute(sign(), { priority: 'host' }));
    for (let kill = 0; kill < 3; kill++) {
      const before = signaturesOf(bench.simulator.device);
      await vi.waitUntil(() => signaturesOf(bench.simulator.device) > before + 10, patience);
      await bench.simulator.stopConnector();
      await bench.simulator.startConnector();
    }
    const done = await Promise.all(signatures);
    expect(done.every((signature) => signature.length === 64)).toBe(true);
    expect(events.filter(({ kind }) => kind === 'device-lost').length).toBeGreaterThanOrEqual(3);
    await pool[Symbol.asyncDispose]();
    // A session that ends without a word keeps its slot for 30 seconds: one for each time the connector was killed.
    expect(bench.simulator.device.statistics.openSessions).toBeLessThanOrEqual(3);
  });

  test('a wrong password fails every command at once, with the reason', async () => {
    const bench = await benchWithKey();
    const keys = await keysFromPassword('wrong');
    const pool = new DevicePool({ devices: [{ connector: bench.connector, authKeyId: 1, keys }] });
    onTestFinished(() => pool[Symbol.asyncDispose]());
    const waiting = pool.execute(sign(), { priority: 'user' });
    await expect(waiting).rejects.toMatchObject({ code: 'device-authentication-failed' });
    const next = pool.execute(sign(), { priority: 'user' });
    await expect(next).rejects.toMatchObject({ code: 'device-authentication-failed' });
  });

  test('a device that does not come back is named when the deadline comes', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    await pool.execute(sign(), { priority: 'user' });
    bench.simulator.faults.deviceGone = true;
    const deadline = new AbortController();
    const signature = pool.execute(sign(), { priority: 'user', signal: deadline.signal });
    signature.catch(() => {});
    await vi.waitUntil(() => pool.devices[0]?.failure !== undefined, patience);
    deadline.abort();
    await expect(signature).rejects.toMatchObject({ code: 'unavailable' });
    await expect(signature).rejects.toThrow(/HTTP status 500/);
    bench.simulator.faults.deviceGone = false;
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
  });
});

describe('the queue', () => {
  test('serves users before hosts', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    const order: string[] = [];
    const run = (name: 'user' | 'host'): Promise<unknown> =>
      pool.execute(sign(), { priority: name }).then(() => order.push(name));
    const hosts = Array.from({ length: 30 }, () => run('host'));
    await vi.waitUntil(() => order.length > 0, patience);
    const before = order.length;
    await run('user');
    expect(order.indexOf('user') - before).toBeLessThanOrEqual(2);
    await Promise.all(hosts);
  });

  test('refuses what is too much, and says when to come back', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench], { maxWaiting: 3 });
    await pool.execute(sign(), { priority: 'user' });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => pool.execute(sign(), { priority: 'host' })),
    );
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as HsmError);
    expect(refused.length).toBeGreaterThanOrEqual(16);
    for (const error of refused) expect(error).toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
  });

  test('hosts that fill their queue do not keep a user out', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench], { maxWaiting: 3 });
    const hosts = Promise.allSettled(Array.from({ length: 20 }, () => pool.execute(sign(), { priority: 'host' })));
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
    await hosts;
  });

  test('lets go of a caller whose deadline comes, and of nobody else', async () => {
    const bench = await benchWithKey();
    const pool = poolOf([bench]);
    await pool.execute(sign(), { priority: 'user' });
    bench.simulator.faults.plan({ fault: { kind: 'delay', ms: 100 }, minBytes: signatureBytes });
    const slow = pool.execute(sign(), { priority: 'user' });
    const impatient = pool.execute(sign(), { priority: 'user', signal: AbortSignal.timeout(20) });
    await expect(impatient).rejects.toMatchObject({ code: 'unavailable' });
    expect(await slow).toHaveLength(64);
    expect(pool.waiting).toBe(0);
    expect(signaturesOf(bench.simulator.device)).toBe(2);
  });
});

describe('two devices', () => {
  test('share the work, and when one dies the other does it all', async () => {
    const benches = [await benchWithKey(), await benchWithKey()];
    const pool = poolOf(benches);
    const [first, second] = benches.map(({ simulator }) => simulator);
    const signatures = Array.from({ length: 100 }, () => pool.execute(sign(), { priority: 'host' }));
    await vi.waitUntil(() => signaturesOf(first!.device) > 5 && signaturesOf(second!.device) > 5, patience);
    await first!.stopConnector();
    expect(await Promise.all(signatures)).toHaveLength(100);
    expect(pool.devices.map(({ ready }) => ready)).toEqual([false, true]);
    await first!.startConnector();
    await vi.waitUntil(() => pool.devices.every(({ ready }) => ready), patience);
  });

  test('one that does not pass its check gets no work', async () => {
    const benches = [await benchWithKey({ serial: 1 }), await benchWithKey({ serial: 2 })];
    const check = async (_: unknown, { serial }: { serial: number }): Promise<void> => {
      if (serial === 1) throw new HsmError('key-mismatch', 'another key');
    };
    const pool = poolOf(benches, { check });
    await Promise.all(Array.from({ length: 10 }, () => pool.execute(sign(), { priority: 'host' })));
    expect(signaturesOf(benches[0]!.simulator.device)).toBe(0);
    expect(pool.devices[0]).toMatchObject({ ready: false, failure: { code: 'key-mismatch' } });
    expect(benches[0]!.simulator.device.statistics.openSessions).toBe(0);
  });
});

describe('the audit log', () => {
  test('of a device that forces its audit never fills up, and every entry arrives once', async () => {
    const { bench, sink, pool } = await auditedPool();
    await Promise.all(Array.from({ length: 300 }, () => pool.execute(sign(), { priority: 'host' })));
    await pool[Symbol.asyncDispose]();
    const entries = sink.batches.flatMap(({ fresh }) => fresh);
    expect(entries.filter(({ command }) => command === signNumber)).toHaveLength(300);
    expect(sink.batches.every(({ alarm }) => alarm === undefined)).toBe(true);
    expect(sink.batches.slice(1).every(({ linked }) => linked)).toBe(true);
    expect(entries.every(({ number }, index) => index === 0 || number === entries[index - 1]!.number + 1)).toBe(true);
    expect(bench.simulator.device.statistics.openSessions).toBe(0);
  });

  test('that is full already is freed, and the signature made', async () => {
    const { bench, pool } = await auditedPool(async (session) => {
      await makeKey(session, 6, 'ed25519', 'sign-eddsa');
      for (let i = 0; i < 60; i++) await session.execute(signEddsa(6, data));
      await expect(session.execute(signEddsa(6, data))).rejects.toMatchObject({ code: 'device-log-full' });
    });
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
    expect(bench.simulator.device.memory.log.entries.length).toBeLessThan(62);
  });

  test('that was tampered with raises an alarm, and the device goes on', async () => {
    const { bench, sink, pool, events } = await auditedPool();
    await pool.execute(sign(), { priority: 'user' });
    await vi.waitUntil(() => sink.batches.length > 0, patience);
    bench.simulator.device.memory.log.lastDigest = Buffer.alloc(16);
    for (let i = 0; i < 30; i++) await pool.execute(sign(), { priority: 'user' });
    await vi.waitUntil(() => events.some(({ kind }) => kind === 'log-alarm'), patience);
    expect(sink.batches.some(({ alarm }) => alarm?.code === 'log-chain-broken')).toBe(true);
    expect(await pool.execute(sign(), { priority: 'user' })).toHaveLength(64);
  });
});

class MemorySink implements DeviceLogSink {
  readonly batches: DeviceLogBatch[] = [];

  async lastPosition(): Promise<LogPosition | undefined> {
    return this.batches.at(-1)?.position;
  }

  async append(batch: DeviceLogBatch): Promise<void> {
    this.batches.push(batch);
  }

  async recorded(): Promise<RecordedSignature[]> {
    return [];
  }
}

/** A pool on a device that logs and forces its audit, with an auditor of its own. */
async function auditedPool(prepare?: (session: Awaited<ReturnType<Bench['session']>>) => Promise<void>): Promise<{
  bench: Bench;
  sink: MemorySink;
  pool: DevicePool;
  events: HsmEvent[];
}> {
  const bench = await benchWithKey();
  const session = await bench.session();
  const auditor = await makeAuthKey(session, 3, 'auditor', ['get-log-entries']);
  await session.execute(setCommandAudit(['SIGN EDDSA'], 'on'));
  await session.execute(setForceAudit('on'));
  await prepare?.(session);
  await session.close();
  const sink = new MemorySink();
  const events: HsmEvent[] = [];
  const { connector } = bench;
  const drain = new AuditDrain({ connector, authKeyId: 3, keys: auditor, sink });
  const devices = [{ connector, authKeyId: 1, keys: factoryKeys, drain }];
  const pool = poolOf([bench], { devices, report: (event) => events.push(event) });
  return { bench, sink, pool, events };
}
