/**
 * The YubiHSM signer on a simulated device that takes as long as Yubico says that a real one takes: certificates per
 * second as a share of what the device alone can do, with one user and with a crowd; and how long a user waits while
 * 1,000 hosts queue, counted in signatures. What the device alone can do is to be at work all the time: the share is the
 * time in which it is, so that a machine whose timers are late does not count against the client.
 */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { generateAsymmetricKey } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { putTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { openConnector } from '#ca-lite/yubihsm/connector.ts';
import { allDomains } from '#ca-lite/yubihsm/domains.ts';
import { type Hsm, openHsm } from '#ca-lite/yubihsm/hsm.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { openSession, type Session } from '#ca-lite/yubihsm/session.ts';
import { encodeSshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';
import { fileTimestampKey, type TimestampKey } from '#ca-lite/yubihsm/timestamp-key.ts';
import { certify } from '#test/contract/signer.ts';
import { type Simulator, startSimulator } from '#test/yubihsm-simulator/simulator.ts';
import { type BenchReport, type BenchRow, quantile } from './report.ts';

const SECONDS = 5;
const CROWD = 64;
const HOSTS = 1000;
const USERS = 20;

interface Way {
  name: string;
  kind: 'ecp256' | 'rsa2048';
  /** The published time of one signature. */
  deviceMs: number;
  template: boolean;
}

const ways: readonly Way[] = [
  { name: 'plain ECDSA P-256', kind: 'ecp256', deviceMs: 73, template: false },
  { name: 'RSA-2048 under a template', kind: 'rsa2048', deviceMs: 139, template: true },
];

export async function bench(): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const way of ways) {
    await using device = await openDevice(way);
    rows.push(await rate(device, way, 1), await rate(device, way, CROWD), ...(await patience(device, way)));
  }
  return { title: 'YubiHSM signer, simulated device in real time', rows };
}

/** Certificates per second with so many callers at once. */
async function rate({ hsm, simulator }: OpenDevice, { name }: Way, callers: number): Promise<BenchRow> {
  const signer = hsm.signer(5);
  await certify(signer);
  const busyBefore = simulator.device.statistics.busyMs;
  const end = performance.now() + SECONDS * 1000;
  let made = 0;
  const started = performance.now();
  const call = async (): Promise<void> => {
    while (performance.now() < end) {
      await certify(signer);
      made++;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  const elapsed = performance.now() - started;
  const perSecond = (made * 1000) / elapsed;
  const ratio = (simulator.device.statistics.busyMs - busyBefore) / elapsed;
  const goal = callers > 1 ? { goal: 'at least 0.95 under load', met: ratio >= 0.95 } : {};
  const against = 'what the device alone can do';
  return { what: `${name}, ${callers} at once`, value: perSecond, unit: 'certificates/s', ratio, against, ...goal };
}

/** How many signatures the device makes while a user waits for one and hosts queue; the user's own is one of them. */
async function patience({ hsm, simulator }: OpenDevice, { name, deviceMs, template }: Way): Promise<BenchRow[]> {
  const signer = hsm.signer(5);
  const over = new AbortController();
  const hosts = Array.from({ length: HOSTS }, () => hostInLine(hsm, over.signal));
  await sleep(deviceMs * 2);
  const waits: number[] = [];
  const number = template ? 0x5d : 0x56;
  const signatures = (): number => simulator.device.statistics.executed.get(number) ?? 0;
  for (let user = 0; user < USERS; user++) {
    const before = signatures();
    await certify(signer);
    waits.push(signatures() - before);
    await sleep(Math.random() * deviceMs);
  }
  over.abort();
  await Promise.allSettled(hosts);
  const what = `${name}, a user while ${HOSTS} hosts queue`;
  const unit = 'signatures';
  const p50 = quantile(waits, 0.5);
  const slowest = Math.max(...waits);
  const goal = { goal: 'at most 2 signatures', met: slowest <= 2 };
  return [
    { what: `${what}, p50`, value: p50, unit },
    { what: `${what}, the slowest of ${USERS}`, value: slowest, unit, ...goal },
  ];
}

async function hostInLine(hsm: Hsm, signal: AbortSignal): Promise<void> {
  const signer = hsm.signer(5);
  await certify({ ...signer, sign: async (data) => signer.sign(data, { priority: 'host', signal }) });
}

interface OpenDevice extends AsyncDisposable {
  hsm: Hsm;
  simulator: Simulator;
}

async function openDevice(way: Way): Promise<OpenDevice> {
  const simulator = await startSimulator({ realtime: true });
  const connector = openConnector(simulator.url);
  const keys = await keysFromPassword('password');
  const timestampKey = fileTimestampKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, nowSeconds);
  {
    await using session = await openSession({ connector, authKeyId: 1, keys });
    await setUp(session, way, timestampKey);
  }
  const template = way.template ? { template: { templateId: 10, timestampKey } } : {};
  const devices = [{ connector, authKeyId: 1, keys }];
  const hsm = await openHsm({ devices, keys: [{ keyId: 5, ...template }], nowSeconds });
  return {
    hsm,
    simulator,
    [Symbol.asyncDispose]: async () => {
      await hsm[Symbol.asyncDispose]();
      await connector[Symbol.asyncDispose]();
      await simulator[Symbol.asyncDispose]();
    },
  };
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

async function setUp(session: Session, way: Way, timestampKey: TimestampKey): Promise<void> {
  const sign = way.template ? 'sign-ssh-certificate' : 'sign-ecdsa';
  const header = { id: 5, label: 'bench', domains: allDomains, capabilities: capabilityBits(sign) };
  await session.execute(generateAsymmetricKey({ ...header, algorithm: way.kind }));
  if (!way.template) return;
  const bytes = encodeSshTemplate({
    timestampModulus: timestampKey.modulus,
    caKeyIds: [5],
    notBeforeOffsetSeconds: 10,
    notAfterOffsetSeconds: 86_400,
    forbiddenPrincipals: ['root'],
  });
  await session.execute(putTemplate({ id: 10, label: 'bench', domains: allDomains, capabilities: 0n }, bytes));
}
