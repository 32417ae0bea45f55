/** The shapes of the CA's replies as step clients read them (status, members, encodings), its one shape of errors, and request ids. */
import { X509Certificate, createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Value } from 'typebox/value';
import { caLayout } from '#ca-lite/directory/layout.ts';
import type { StoreReader } from '#ca-lite/store/store.ts';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { ApiErrorBody } from '#protocol/api-error.ts';
import { version } from '#protocol/version.ts';
import { CA_NAME, type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import { type Answer, EnrolmentClient, bodyOf, hostKeyPair } from '#test/support/enrolment-client.ts';

const stack = new AsyncDisposableStack();
let ca: TestCa;
let running: RunningCa;
let client: EnrolmentClient;
let store: StoreReader;

beforeAll(async () => {
  const within = await mkdtemp(join(tmpdir(), 'countersign-shape-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  ca = await makeCa({ within, quick: true });
  running = stack.use(await ca.serve());
  client = stack.use(new EnrolmentClient({ url: running.url, rootPem: await ca.rootPem() }));
  store = stack.use(await ca.openStore());
});
afterAll(async () => stack.disposeAsync());

const get = async (path: string) => client.request<Record<string, unknown>>('GET', path);

/** An error as every route answers it: JSON, the status said twice, a code, words, the id of the request. */
function expectError(answer: Answer, status: number, code: string): void {
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  expect(Value.Check(ApiErrorBody, answer.json)).toBe(true);
  expect(answer).toMatchObject({ status, json: { status, code, requestId: answer.headers['x-request-id'] } });
}

describe.each(['', '/1.0'])('at "%s/"', (prefix) => {
  test('health and version', async () => {
    expect(await get(`${prefix}/health`)).toMatchObject({ status: 200, json: { status: 'ok' } });
    expect(await get(`${prefix}/version`)).toMatchObject({ status: 200, json: { version } });
    const head = await client.request('HEAD', `${prefix}/health`);
    expect([head.status, head.text]).toEqual([200, '']);
  });

  test('the root, by its fingerprint in any spelling', async () => {
    const root = await ca.rootPem();
    const hex = createHash('sha256').update(new X509Certificate(root).raw).digest('hex');
    const dashed = hex.toUpperCase().replaceAll(/(..)(?=.)/g, '$1-');
    for (const sha of [hex, hex.toUpperCase(), dashed]) {
      expect(await get(`${prefix}/root/${sha}`)).toMatchObject({ status: 200, json: { ca: root } });
    }
    expectError(await get(`${prefix}/root/${'0'.repeat(64)}`), 404, 'not-found');
  });

  test('the roots: 201, as step-ca has it, and as PEM', async () => {
    const root = await ca.rootPem();
    expect(await get(`${prefix}/roots`)).toMatchObject({ status: 201, json: { crts: [root] } });
    const pem = await get(`${prefix}/roots.pem`);
    expect([pem.status, pem.headers['content-type'], pem.text]).toEqual([200, 'application/x-pem-file', root]);
  });

  test('provisioners: one page, with the key that signs tokens', async () => {
    const { json } = await get(`${prefix}/provisioners?limit=100`);
    expect(json?.['nextCursor']).toBe('');
    const list = json?.['provisioners'] as { type: string; name: string; key: Record<string, string> }[];
    const admin = list.find(({ type }) => type === 'JWK');
    expect(admin).toMatchObject({ name: 'admin', key: { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' } });
    expect(admin?.key['d']).toBeUndefined();
    expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
    expectError(await get(`${prefix}/provisioners?limit=many`), 400, 'bad-request');
  });

  test('the SSH roots: the blobs of the two CA keys', async () => {
    const blobOf = async (which: 'hostCaPublicKey' | 'userCaPublicKey') =>
      encodeBase64(parsePublicKeyLine(await ca.publicKeyLine(which)).blob);
    const { status, json } = await get(`${prefix}/ssh/roots`);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      hostKey: [await blobOf('hostCaPublicKey')],
      userKey: [await blobOf('userCaPublicKey')],
    });
  });

  test('SSH configuration, for users and hosts', async () => {
    const post = async (body: unknown) =>
      client.request<Record<string, { content: string }[]>>('POST', `${prefix}/ssh/config`, body);
    const contents = (answer: Answer<Record<string, { content: string }[]>>, member: string) =>
      (answer.json?.[member] ?? []).map(({ content }) => Buffer.from(decodeBase64(content)).toString()).join('\n');
    const user = await post({ type: 'user' });
    expect([user.status, contents(user, 'userTemplates')]).toEqual([200, expect.stringContaining('@cert-authority')]);
    const host = await post({ type: 'host', data: { Certificate: 'a-cert.pub', Key: 'a' } });
    expect([host.status, contents(host, 'hostTemplates')]).toEqual([200, expect.stringContaining('HostCertificate')]);
    expectError(await post({ type: 'host', data: { Certificate: '../../etc/passwd', Key: 'a' } }), 400, 'bad-request');
  });

  test('a certificate: 201 and one member, also where a Go client sends what it has not set', async () => {
    const { blob } = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
    const unset = { certType: '', keyID: '', principals: null, validAfter: '', validBefore: '', identityCSR: null };
    const body = { publicKey: encodeBase64(blob), ott: await ca.token('--user', 'alice'), ...unset };
    const answer = await client.request<{ crt: string }>('POST', `${prefix}/ssh/sign`, body);
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.json ?? {})).toEqual(['crt']);
    const certificate = decodeCertificate(decodeBase64(answer.json?.crt ?? ''));
    expect(certificate).toMatchObject({ type: 'user', keyId: 'alice', principals: ['alice'] });
    expect(certificate.extensions.map(({ name }) => name)).toEqual(
      certificate.extensions.map(({ name }) => name).toSorted(),
    );
    expectError(await client.request('POST', `${prefix}/ssh/sign`, { publicKey: 'AA==' }), 400, 'bad-request');
    expectError(await client.request('POST', `${prefix}/ssh/sign`, { ...body, ott: 'x' }), 401, 'token-invalid');
  });

  test('what is not there, and what is there for another method', async () => {
    expectError(await get(`${prefix}/nothing`), 404, 'not-found');
    expectError(await client.request('POST', `${prefix}/nothing`, {}), 404, 'not-found');
    expectError(await client.request('POST', `${prefix}/health`, {}), 405, 'method-not-allowed');
    expectError(await get(`${prefix}/ssh/sign`), 405, 'method-not-allowed');
    expectError(await client.request('DELETE', `${prefix}/host/challenge`), 405, 'method-not-allowed');
  });
});

describe('request ids', () => {
  /** curl sends header lines as they are given, which a careful client would not. */
  async function curl(id: string): Promise<{ id: string; body: { requestId: string } }> {
    const { rootCertificate } = caLayout(ca.directory);
    const line = id === '' ? 'X-Request-Id;' : `X-Request-Id: ${id}`; // curl's way to say empty
    const args = ['-sS', '--cacert', rootCertificate, '-H', line, '-D', '-', `${running.url}/nothing`];
    const { stdout } = await execa('curl', args);
    const [head = '', body = ''] = stdout.split('\r\n\r\n');
    return { id: /^x-request-id: (.*)$/im.exec(head)?.[1] ?? '', body: JSON.parse(body) as { requestId: string } };
  }

  test('come back as they were given when they are harmless', async () => {
    for (const given of ['a', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'x'.repeat(64)]) {
      expect(await curl(given)).toMatchObject({ id: given, body: { requestId: given } });
    }
  });

  test('are replaced when they are not', async () => {
    for (const given of ['', 'x'.repeat(65), 'two words', '<b>', '"}', '\u001b[31m', "';--"]) {
      const { id, body } = await curl(given);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(body.requestId).toBe(id);
    }
  });

  test('are the ones in the audit log', async () => {
    const refused = await client.sign('no token', new Uint8Array(8));
    const { items } = await store.audit({ outcome: 'refused' }, { limit: 1 });
    expect(items[0]?.subject).toMatchObject({ requestId: refused.json?.requestId, requester: '127.0.0.1' });
  });
});

test('the OpenAPI document names every route twice, with its error', async () => {
  const { json } = await client.request<{
    openapi: string;
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  }>('GET', '/openapi.json');
  expect(json?.openapi).toBe('3.1.0');
  const paths = Object.entries(json?.paths ?? {});
  const bare = paths.map(([path]) => path).filter((path) => !path.startsWith('/1.0'));
  const needed = [
    '/health',
    '/version',
    '/root/{sha}',
    '/roots',
    '/roots.pem',
    '/provisioners',
    '/ssh/sign',
    '/ssh/roots',
    '/ssh/config',
  ];
  expect(bare).toEqual(expect.arrayContaining([...needed, '/host/challenge', '/host/token']));
  for (const path of bare) expect(json?.paths).toHaveProperty([`/1.0${path}`]);
  const operations = paths.flatMap(([, methods]) => Object.values(methods));
  for (const { responses } of operations) expect(responses).toHaveProperty('default');
});

test('the metrics count requests and refusals by route and code, and speak the format of Prometheus', async () => {
  await get('/nothing');
  const { status, headers, text } = await get('/metrics');
  expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/plain; version=0\.0\.4/)]);
  expect(text).toMatch(/^countersign_requests_total\{route="\/ssh\/sign",status="201"\} [1-9]/m);
  expect(text).toMatch(/^countersign_refusals_total\{code="not-found"\} [1-9]/m);
  expect(text).toMatch(/^countersign_certificates\{type="user",state="issued"\} [1-9]/m);
  expect(text).not.toContain('/nothing');
});

test('TLS 1.2 and 1.3 are spoken, older ones and plain HTTP are not', async () => {
  const { rootCertificate } = caLayout(ca.directory);
  const handshake = async (version: string) =>
    execa(
      'openssl',
      [
        's_client',
        '-connect',
        `127.0.0.1:${running.port}`,
        '-CAfile',
        rootCertificate,
        '-verify_return_error',
        '-servername',
        CA_NAME,
        version,
        '-cipher',
        'ALL:@SECLEVEL=0',
      ],
      { reject: false, input: '' },
    );
  expect((await handshake('-tls1_3')).exitCode).toBe(0);
  expect((await handshake('-tls1_2')).exitCode).toBe(0);
  expect((await handshake('-tls1_1')).exitCode).not.toBe(0);
  const plain = await execa('curl', ['-sS', `http://127.0.0.1:${running.port}/health`], { reject: false });
  expect(plain.exitCode).not.toBe(0);
  expect((await get('/health')).status).toBe(200);
});

test('nothing of a secret is in what the CA prints or answers', async () => {
  const token = await ca.token('--user', 'alice');
  await client.sign(token, hostKeyPair(generateKeyPairSync('ed25519').privateKey).blob);
  const passphrase = (await readFile(ca.passphraseFile, 'utf8')).trim();
  const said = [
    running.process.stdout(),
    running.process.stderr(),
    bodyOf(await get('/openapi.json')),
    (await get('/metrics')).text,
  ];
  for (const text of said.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))) {
    expect(text).not.toContain(token);
    expect(text).not.toContain(passphrase);
  }
});
