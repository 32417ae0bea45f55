/**
 * Certificates per second through HTTPS with keep-alive and a durable SQLite store, at 1, 16 and 64 clients, against what one Ed25519
 * verification and one signature cost alone in one thread of the same run. Tokens are made beforehand; each request spends one.
 * The clients run in a process of their own, as they do in the world, and take their share of the cores.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
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
import type { BenchReport, BenchRow } from './report.ts';

const clientCounts = [1, 16, 64];
const REQUESTS = 4000;
const REQUESTS_OF_ONE = 800;
/** USER_HZ of Linux. */
const MS_PER_TICK = 10;
const passphrase = (): Uint8Array => Buffer.from('bench');

export async function bench(): Promise<BenchReport> {
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
    const { perSecond: alone, cpuMs: pairCpu } = cryptoAlone();
    const rows: BenchRow[] = [
      { what: 'one Ed25519 verification and one signature, alone, one thread', value: alone, unit: 'pairs/s' },
      { what: '  CPU of one pair', value: pairCpu, unit: 'ms' },
    ];
    await using server = await startServer(ca, join(directory, 'passphrase'));
    for (const clients of clientCounts) {
      const count = clients === 1 ? REQUESTS_OF_ONE : REQUESTS;
      const requests = await makeRequests(ca, rootFingerprint, server.port, count);
      const before = cpuOf(server.pid);
      const { perSecond, p50, p99 } = await load(
        server.port,
        join(ca, 'certs', 'root_ca.crt'),
        clients,
        requests,
        directory,
      );
      const goal = clients === 1 ? {} : { goal: 'at least 0.5', met: perSecond / alone >= 0.5 };
      rows.push({
        what: `certificates, ${clients} clients`,
        value: perSecond,
        unit: '/s',
        against: 'the pair alone',
        ratio: perSecond / alone,
        ...goal,
      });
      const spent = cpuOf(server.pid);
      const each = (of: keyof Cpu): number => (spent[of] - before[of]) / count;
      const cpuRow = (what: string, value: number): BenchRow => {
        return {
          what: `  ${what}, ${clients} clients`,
          value,
          unit: 'ms',
          against: 'the CPU of the pair',
          ratio: value / pairCpu,
        };
      };
      rows.push(
        cpuRow('CPU of the main thread for each', each('mainMs')),
        cpuRow('CPU of the CA for each', each('allMs')),
        { what: `  latency p50, ${clients} clients`, value: p50, unit: 'ms' },
        { what: `  latency p99, ${clients} clients`, value: p99, unit: 'ms' },
      );
    }
    return { title: 'Certificates over HTTPS (keep-alive, SQLite durable)', rows };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The CPU that it takes does not change with what else the machine does; how many there are a second does. */
function cryptoAlone(): { readonly perSecond: number; readonly cpuMs: number } {
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

interface Cpu {
  readonly mainMs: number;
  readonly allMs: number;
}

/** What a process has used so far. */
function cpuOf(pid: number): Cpu {
  const ticks = (path: string): number => {
    const text = readFileSync(path, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  };
  return { mainMs: ticks(`/proc/${pid}/task/${pid}/stat`), allMs: ticks(`/proc/${pid}/stat`) };
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

async function load(
  port: number,
  root: string,
  clients: number,
  bodies: readonly string[],
  directory: string,
): Promise<{ perSecond: number; p50: number; p99: number }> {
  const file = join(directory, 'bodies.json');
  await writeFile(file, JSON.stringify(bodies));
  const script = join(import.meta.dirname, 'load-client.ts');
  const child = spawn(process.execPath, [script, String(port), root, String(clients), file, '/ssh/sign', '201'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error('the load client failed');
  return JSON.parse(text) as { perSecond: number; p50: number; p99: number };
}

if (import.meta.main) {
  const { printReport } = await import('./report.ts');
  printReport(await bench());
}
