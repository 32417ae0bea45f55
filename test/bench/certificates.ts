/**
 * Certificates per second through HTTPS with keep-alive and a durable SQLite store, at 1, 16 and 64 clients, against what one Ed25519
 * verification and one signature cost alone in one thread of the same run; and what each takes of CPU: in the main thread (TLS, HTTP, the
 * decision), in the store's thread, in the pool that signs and verifies, and in the load client. Tokens are made beforehand; each request
 * spends one. The clients run in a process of their own, as they do in the world, and take their share of the cores.
 *
 *   node test/bench/certificates.ts [CLIENTS ...]     by default 1, 16 and 64
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { readSecret } from '#ca-lite/directory/secrets.ts';
import { createCa } from '#ca-lite/init/create-ca.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { ADMIN_PROVISIONER, makeClaims } from '#ca-lite/token/one-time-token.ts';
import { loadTokenKey } from '#ca-lite/token/token-key.ts';
import { caProgram } from '#test/support/programs.ts';
import { type LoadResult, load } from './load.ts';
import { cpuOf, spentBetween } from './process-cpu.ts';
import type { BenchReport, BenchRow } from './report.ts';

const REQUESTS = 4000;
const REQUESTS_OF_ONE = 800;
/** A CA that has just started is not yet compiled where it matters. */
const WARM_UP_CLIENTS = 16;
const WARM_UP_REQUESTS = 2000;
const passphrase = (): Uint8Array => Buffer.from('bench');

export async function bench(clientCounts: readonly number[] = [1, 16, 64]): Promise<BenchReport> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  try {
    const ca = join(directory, 'ca');
    const { rootFingerprint } = await createCa({
      directory: ca,
      passphrase: passphrase(),
      keyType: 'ed25519',
      name: 'Bench',
      dnsNames: ['localhost'],
      address: '127.0.0.1:0',
      enrolNames: [],
      enrolAddresses: [],
      userPrincipals: ['alice'],
      root: 'own',
      progress: () => undefined,
    });
    await writeFile(join(directory, 'passphrase'), passphrase(), { mode: 0o600 });
    const rows: BenchRow[] = [];
    await using server = await startServer(ca, join(directory, 'passphrase'));
    const target = { port: server.port, root: join(ca, 'certs', 'root_ca.crt'), path: '/ssh/sign', status: 201 };
    await load(target, WARM_UP_CLIENTS, await makeRequests(ca, rootFingerprint, server.port, WARM_UP_REQUESTS));
    for (const clients of clientCounts) {
      const count = clients === 1 ? REQUESTS_OF_ONE : REQUESTS;
      const requests = await makeRequests(ca, rootFingerprint, server.port, count);
      const first = pairAlone();
      const before = cpuOf(server.pid);
      const loaded = await load(target, clients, requests);
      const spent = (name?: string): number => spentBetween(before, cpuOf(server.pid), name) / count;
      const pair = meanPair(first, pairAlone());
      rows.push(...rowsOf(clients, loaded, pair, spent));
    }
    return { title: 'Certificates over HTTPS (keep-alive, SQLite durable)', rows };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function rowsOf(clients: number, loaded: LoadResult, pair: Pair, spent: (name?: string) => number): BenchRow[] {
  const { perSecond, p50, p99, cpuMs } = loaded;
  const goal = clients === 1 ? {} : { goal: 'at least 0.5', met: perSecond / pair.perSecond >= 0.5 };
  const against = 'the pair alone';
  const cpuRow = (what: string, value: number): BenchRow => {
    return {
      what: `  CPU for each, ${what}`,
      value,
      unit: 'ms',
      against: 'the CPU of the pair',
      ratio: value / pair.cpuMs,
    };
  };
  const [main, store, pool, all] = [spent('main'), spent('sqlite-worker'), spent('libuv-worker'), spent()];
  const clientsText = `${clients} ${clients === 1 ? 'client' : 'clients'}`;
  return [
    {
      what: `certificates, ${clientsText}`,
      value: perSecond,
      unit: '/s',
      against,
      ratio: perSecond / pair.perSecond,
      ...goal,
    },
    { what: '  one Ed25519 verification and one signature, alone, one thread', value: pair.perSecond, unit: 'pairs/s' },
    { what: '  CPU of the pair', value: pair.cpuMs, unit: 'ms' },
    cpuRow('main thread', main),
    cpuRow('store', store),
    cpuRow('signatures', pool),
    cpuRow('rest of the CA', all - main - store - pool),
    cpuRow('the whole CA', all),
    cpuRow('load client', cpuMs),
    { what: '  latency p50', value: p50, unit: 'ms' },
    { what: '  latency p99', value: p99, unit: 'ms' },
  ];
}

interface Pair {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/** The CPU that it takes changes little with what else the machine does; how many there are a second does. */
function pairAlone(): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const message = randomBytes(500);
  const signature = sign(null, message, privateKey);
  const pair = (): void => {
    verify(null, message, publicKey, signature);
    sign(null, message, privateKey);
  };
  for (let i = 0; i < 500; i++) pair();
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const rounds = 4000;
  for (let i = 0; i < rounds; i++) pair();
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (rounds / (performance.now() - started)) * 1000, cpuMs: (user + system) / 1000 / rounds };
}

/** Measured before and after a load: the machine may have become busier meanwhile. */
function meanPair(a: Pair, b: Pair): Pair {
  return { perSecond: (a.perSecond + b.perSecond) / 2, cpuMs: (a.cpuMs + b.cpuMs) / 2 };
}

async function startServer(
  ca: string,
  passphraseFile: string,
): Promise<{ port: number; pid: number } & AsyncDisposable> {
  const [command, ...args] = caProgram();
  const child = spawn(command, [...args, 'serve', '--dir', ca, '--passphrase-file', passphraseFile, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += line;
    if (line === '}') break;
  }
  const { port } = JSON.parse(text) as { port: number };
  return { port, pid: child.pid ?? 0, [Symbol.asyncDispose]: async () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function makeRequests(
  ca: string,
  rootFingerprint: string | null,
  port: number,
  count: number,
): Promise<string[]> {
  const tokenKey = await loadTokenKey(await readSecret(caLayout(ca), 'token', passphrase()));
  const publicKey = encodeBase64(encodePublicKey(publicKeyFromObject(generateKeyPairSync('ed25519').privateKey)));
  await using store = await openSqliteStore({ path: join(ca, 'db', 'countersign.sqlite'), role: 'administrator' });
  const one = async (): Promise<string> => {
    const tokenId = encodeBase64Url(randomBytes(24));
    const now = BigInt(Math.floor(Date.now() / 1000));
    const grant = {
      provisioner: ADMIN_PROVISIONER,
      type: 'user',
      keyId: 'alice',
      principals: ['alice'],
      validBefore: '',
    } as const;
    const claims = makeClaims(grant, {
      authority: `localhost:${port}`,
      rootFingerprint: rootFingerprint ?? '',
      now,
      lifetimeSeconds: 3000,
      tokenId,
    });
    await store.recordToken({
      token: { id: tokenId, expiresAt: BigInt(claims.exp) },
      audit: { time: now, action: 'token-make', subject: {} },
    });
    return JSON.stringify({
      publicKey,
      ott: await tokenKey.sign(claims),
      certType: 'user',
      keyID: 'alice',
      principals: ['alice'],
      validAfter: '',
      validBefore: '',
    });
  };
  const bodies: string[] = [];
  while (bodies.length < count)
    bodies.push(...(await Promise.all(Array.from({ length: Math.min(500, count - bodies.length) }, one))));
  return bodies;
}

if (import.meta.main) {
  const { printReport } = await import('./report.ts');
  const counts = process.argv.slice(2).map(Number);
  printReport(await (counts.length === 0 ? bench() : bench(counts)));
}
