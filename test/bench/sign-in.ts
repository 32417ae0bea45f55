/**
 * Sign-ins: user certificates per second for ID tokens (RS256, a key set over TLS) through HTTPS with keep-alive, against what the signatures
 * of one cost alone in one thread of the same run; and how long it takes from the browser's coming back until the certificate is in the agent,
 * against the two TLS connections that it needs.
 */
import { type KeyObject, createHash, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { createBoundKey, proveIdentity } from '#agent/user/login/key-binding.ts';
import { AgentKeys } from '#agent/user/login/agent-keys.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { startTestAgent } from '#test/real/agent-fixture.ts';
import { openLoginStage } from '#test/real/login-fixture.ts';
import { type SignStage, openSignStage } from '#test/real/oidc-sign-fixture.ts';
import { signIn } from '#test/simulator/openid-provider/scripted-browser.ts';
import { load } from './load.ts';
import { cpuOf, spentBetween } from './process-cpu.ts';
import { type BenchReport, type BenchRow, quantile } from './report.ts';

const clientCounts = [1, 16];
const REQUESTS = 2000;
const REQUESTS_OF_ONE = 400;
const SIGN_INS = 15;
const POLL_MS = 2;

export async function bench(): Promise<BenchReport> {
  return { title: 'Sign-ins with OpenID Connect', rows: [...(await certificateRows()), ...(await waitingRows())] };
}

async function certificateRows(): Promise<BenchRow[]> {
  const { perSecond: alone, cpuMs } = signaturesAlone();
  const rows: BenchRow[] = [
    { what: 'RSA and Ed25519 verification, Ed25519 signature, alone, one thread', value: alone, unit: '/s' },
    { what: '  CPU of these', value: cpuMs, unit: 'ms' },
  ];
  await using stage = await openSignStage({ corp: 'principals = [{ from = "email-local-part" }]' });
  for (const clients of clientCounts) {
    const bodies = await makeBodies(stage, clients === 1 ? REQUESTS_OF_ONE : REQUESTS);
    const { port, process: ca, ca: stored } = stage.ca;
    const target = { port, root: caLayout(stored.directory).rootCertificate, path: '/ssh/sign', status: 201 };
    const before = cpuOf(ca.pid);
    const { perSecond, p50, p99 } = await load(target, clients, bodies);
    const spent = spentBetween(before, cpuOf(ca.pid)) / bodies.length;
    rows.push(
      {
        what: `certificates for ID tokens, ${clients} clients`,
        value: perSecond,
        unit: '/s',
        against: 'these alone',
        ratio: perSecond / alone,
      },
      {
        what: `  CPU of the CA for each, ${clients} clients`,
        value: spent,
        unit: 'ms',
        against: 'the CPU of these',
        ratio: spent / cpuMs,
      },
      { what: `  latency p50, ${clients} clients`, value: p50, unit: 'ms' },
      { what: `  latency p99, ${clients} clients`, value: p99, unit: 'ms' },
    );
  }
  return rows;
}

/** What a certificate for an ID token costs at the very least: the token, the proof by the key, and the certificate itself. */
function signaturesAlone(): { readonly perSecond: number; readonly cpuMs: number } {
  const [rsa, ed] = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ed25519')];
  const message = randomBytes(500);
  const signatureOf = (key: KeyObject, algorithm: string | null): Buffer => sign(algorithm, message, key);
  const [token, proof] = [signatureOf(rsa.privateKey, 'sha256'), signatureOf(ed.privateKey, null)];
  const once = (): void => {
    verify('sha256', message, rsa.publicKey, token);
    createHash('sha512').update(message).digest(); // of the SSHSIG
    verify(null, message, ed.publicKey, proof);
    sign(null, message, ed.privateKey);
  };
  for (let i = 0; i < 300; i++) once();
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const rounds = 2000;
  for (let i = 0; i < rounds; i++) once();
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (rounds / (performance.now() - started)) * 1000, cpuMs: (user + system) / 1000 / rounds };
}

async function makeBodies(stage: SignStage<'corp'>, count: number): Promise<string[]> {
  const { corp } = stage.issuers;
  const bodies: string[] = [];
  for (let i = 0; i < count; i++) {
    const key = createBoundKey();
    const ott = await corp.sign(stage.claimsAt(corp, key));
    const identityProof = proveIdentity(key, ott);
    bodies.push(JSON.stringify({ publicKey: encodeBase64(key.blob), ott, certType: 'user', identityProof }));
  }
  return bodies;
}

async function waitingRows(): Promise<BenchRow[]> {
  await using stage = await openLoginStage();
  await using agent = await startTestAgent();
  const [waits, connections]: [number[], number[]] = [[], []];
  const root = await stage.ca.ca.rootPem();
  for (let i = 0; i < SIGN_INS; i++) {
    connections.push((await connectOnce(stage.ca.url, root)) + (await connectOnce(stage.idp.issuer, stage.idp.root)));
    await using login = stage.startLogin(['--no-browser'], agent.env);
    await login.until((each) => /https:\S+\n/.test(each.stderr()));
    const [url = ''] = /https:\S+/.exec(login.stderr()) ?? [];
    const back = await signIn(url, 'http://', { login: 'alice', root: stage.idp.root });
    const before = await serialsIn(agent.socket);
    const started = performance.now();
    await (await request(back)).body.dump();
    while ((await serialsIn(agent.socket)).isSubsetOf(before)) await sleep(POLL_MS);
    waits.push(performance.now() - started);
    await login.ended;
  }
  const [p50, connecting] = [quantile(waits, 0.5), quantile(connections, 0.5)];
  return [
    { what: 'two new TLS connections with one request each, p50', value: connecting, unit: 'ms' },
    {
      what: 'from the browser coming back to the certificate in the agent, p50',
      value: p50,
      unit: 'ms',
      against: 'these connections',
      ratio: p50 / connecting,
    },
    { what: '  the slowest of them', value: Math.max(...waits), unit: 'ms' },
  ];
}

async function connectOnce(origin: string, ca: string): Promise<number> {
  const dispatcher = new Agent({ connect: { ca } });
  const started = performance.now();
  await (await request(`${origin}/health`, { dispatcher })).body.dump();
  const took = performance.now() - started;
  await dispatcher.destroy();
  return took;
}

async function serialsIn(socket: string): Promise<ReadonlySet<bigint>> {
  using agent = new AgentKeys(socket);
  return new Set((await agent.list(() => true)).map(({ certificate }) => certificate.serial));
}

if (import.meta.main) {
  const { printReport } = await import('./report.ts');
  printReport(await bench());
}
