/** docs/enrolment-protocol.md and its example: every message, table and byte on the page is what the code and ssh-keygen take for it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChallengeFault } from '#agent/ca/challenge-check.ts';
import { defaultDialBackCapacity, defaultDialBackLimits } from '#ca-lite/dial-back/limits.ts';
import { defaultDnsLimits } from '#ca-lite/dns/resolver.ts';
import { readChallenge } from '#ca-lite/enrol/challenge.ts';
import { findProofFault } from '#ca-lite/enrol/proof.ts';
import { REFUSALS_PER_MINUTE } from '#ca-lite/http/refusal-budget.ts';
import { MAX_TOKEN_LIFETIME_SECONDS } from '#ca-lite/token/token-key.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { armorSshsig } from '#openssh/sshsig.ts';
import { ApiErrorBody, errorStatuses } from '#protocol/api-error.ts';
import {
  CHALLENGE_MAX_LIFETIME_SECONDS,
  CHALLENGE_NAMESPACE,
  CHALLENGE_PRINCIPAL,
  ChallengePayload,
  ChallengeQuery,
  ChallengeReply,
  MAX_ADDRESSES,
  MAX_NAMES,
  PROOF_NAMESPACE,
  TokenReply,
  TokenRequest,
} from '#protocol/host-challenge.ts';
import { RootReply, SshRootsReply, SshSignReply, SshSignRequest } from '#protocol/step-api.ts';
import { type EnrolmentVector, formatVector, makeVector } from '#test/support/enrolment-vector.ts';

const docs = join(import.meta.dirname, '../../docs');
const page = await readFile(join(docs, 'enrolment-protocol.md'), 'utf8');
const vectorText = await readFile(join(docs, 'examples/enrolment-vector.json'), 'utf8');
const vector = JSON.parse(vectorText) as EnrolmentVector;
const now = BigInt(vector.time);
const hostCas = new Set([fingerprintOf(parsePublicKeyLine(vector.hostCa).blob)]);
const host = parsePublicKeyLine(vector.hostKey);

/** Rows of the table below a heading, as texts without markup. */
function tableBelow(heading: string): string[][] {
  const [, below = ''] = page.split(`\n## ${heading}\n`);
  const [section = ''] = below.split('\n## ');
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  const rows = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.replaceAll('`', '').trim()),
  );
  return rows.slice(2); // without heading and rule
}

describe('the page', () => {
  const jsonBlocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => JSON.parse(text ?? '') as unknown);
  const schemas: readonly (readonly [string, TSchema])[] = [
    ['the root', RootReply],
    ['the SSH roots', SshRootsReply],
    ['the challenge', ChallengeReply],
    ['the payload', ChallengePayload],
    ['the request for a token', TokenRequest],
    ['the token', TokenReply],
    ['the request for a certificate', SshSignRequest],
    ['the certificate', SshSignReply],
    ['an error', ApiErrorBody],
  ];

  test('shows each message once, as its schema has it', () => {
    expect(jsonBlocks).toHaveLength(schemas.length);
    for (const [i, [, schema]] of schemas.entries()) expect([...Value.Errors(schema, jsonBlocks[i])]).toEqual([]);
  });

  test('shows the messages of the example', () => {
    const [, , challenge, payload, token] = jsonBlocks;
    expect(challenge).toEqual(vector.challengeReply);
    expect(payload).toEqual(JSON.parse(vector.payload));
    expect(token).toEqual(vector.tokenRequest);
    expect(page).toContain(vector.hostCa);
    expect(page).toContain(vector.challengeCertificate.split(' ')[1]);
  });

  test('has the parameters of the query, and their numbers', () => {
    const names = tableBelow('2. Challenge')
      .slice(0, 5)
      .map(([name]) => name ?? '');
    expect(names.toSorted()).toEqual(Object.keys(ChallengeQuery.properties).toSorted());
    expect(page).toContain(`| \`name\`        | 1 to ${MAX_NAMES} `);
    expect(page).toContain(`| \`ip\`          | 1 to ${MAX_ADDRESSES} `);
  });

  test('has the namespaces and the principal', () => {
    const [challenge, proof] = tableBelow('Conventions').map(([name]) => name);
    expect([challenge, proof]).toEqual([CHALLENGE_NAMESPACE, PROOF_NAMESPACE]);
    expect(page).toContain(`exactly one: \`${CHALLENGE_PRINCIPAL}\``);
  });

  test('has every error of an enrolment with its status', () => {
    const rows = tableBelow('Errors');
    for (const [code = '', status, step, again] of rows) {
      expect({ code, status: Number(status) }).toEqual({
        code,
        status: errorStatuses[code as keyof typeof errorStatuses],
      });
      expect(step).toMatch(/^(all|[1-5](, [1-5])?)$/);
      expect(['later', 'anew', 'no']).toContain(again);
    }
    const listed = new Set(rows.map(([code]) => code));
    const ofEnrolment =
      /^(enrolment-disabled|name-|address-|port-|dial-back-|challenge-|proof-|voucher-|already-enrolled|token-|key-|principal-|lifetime-)/;
    const ours = Object.keys(errorStatuses).filter((code) => ofEnrolment.test(code));
    expect(ours.filter((code) => !listed.has(code))).toEqual([]);
    expect(listed.size).toBe(rows.length);
  });

  test('has the limits of the code', () => {
    const { connectMilliseconds, idleMilliseconds, maxBytes, maxBannerLines } = defaultDialBackLimits;
    const { requester, target, waitMilliseconds } = defaultDialBackCapacity;
    const seconds = (milliseconds: number) => `${milliseconds / 1000} s`;
    expect(Object.fromEntries(tableBelow('Limits') as [string, string][])).toEqual({
      'names in a challenge': String(MAX_NAMES),
      'addresses in a challenge': String(MAX_ADDRESSES),
      'lifetime of a challenge, at most': `${CHALLENGE_MAX_LIFETIME_SECONDS} s`,
      'lifetime of a token, at most': `${MAX_TOKEN_LIFETIME_SECONDS} s`,
      'body of a request': '65536 B',
      'headers of a request': '16384 B',
      'aliases (CNAME) followed': String(defaultDnsLimits.maxAliases),
      'addresses of one name': String(defaultDnsLimits.maxAddresses),
      'dial-back: time to connect': seconds(connectMilliseconds),
      'dial-back: silence': seconds(idleMilliseconds),
      'dial-back: bytes from the server': `${maxBytes} B`,
      'dial-back: lines before the version line': String(maxBannerLines),
      'waiting checks of one requester, beyond those running': String(requester.waiting),
      'waiting dial-backs to one address': String(target.waiting),
      'wait before overloaded': seconds(waitMilliseconds),
      'refusals of one requester': `${REFUSALS_PER_MINUTE} in 60 s`,
    });
  });
});

describe('the example', () => {
  let scratch: string;
  const file = (name: string) => join(scratch, name);

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'countersign-vector-'));
  });
  afterAll(async () => rm(scratch, { recursive: true, force: true }));

  test('is what the code makes of the same keys and times', () => {
    expect(vectorText).toBe(formatVector(makeVector()));
    expect(Object.keys(vector).toSorted()).toEqual(
      ['note', 'hostPrivateKey', ...tableBelow('The example').map(([name]) => name ?? '')].toSorted(),
    );
  });

  test('is accepted by the CA and by the agent', () => {
    const { challengeReply, tokenRequest } = vector;
    const payload = readChallenge(challengeReply, hostCas, now);
    if (typeof payload === 'string') return expect.unreachable(payload);
    expect(findProofFault(tokenRequest.proof, challengeReply, host.blob)).toBeUndefined();
    const { names, addresses, port } = payload;
    const asked = { names, addresses, port, fingerprint: fingerprintOf(host.blob) };
    expect(findChallengeFault(challengeReply, asked, hostCas, now)).toBeUndefined();
    expect(readChallenge(challengeReply, hostCas, BigInt(payload.expiresAt))).toBe('challenge-expired');
    expect(readChallenge(challengeReply, new Set([asked.fingerprint]), now)).toBe('challenge-invalid');
  });

  test('has the challenge that ssh-keygen verifies, at its time and with its bytes', async () => {
    const options = `cert-authority,namespaces="${CHALLENGE_NAMESPACE}"`;
    await writeFile(file('signers'), `${CHALLENGE_NAMESPACE} ${options} ${vector.hostCa}\n`);
    await writeFile(file('payload.sig'), armorSshsig(decodeBase64(vector.challengeReply.signature)));
    const verify = async (text: string, time: bigint) => {
      const at = new Date(Number(time) * 1000).toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '');
      const who = ['-I', CHALLENGE_NAMESPACE, '-n', CHALLENGE_NAMESPACE, '-O', `verify-time=${at}Z`];
      const args = ['-Y', 'verify', '-f', file('signers'), '-s', file('payload.sig'), ...who];
      return execa('ssh-keygen', args, { input: text, reject: false });
    };
    expect(await verify(vector.payload, now)).toMatchObject({ exitCode: 0 });
    expect((await verify(`${vector.payload} `, now)).exitCode).not.toBe(0);
    expect((await verify(vector.payload, now + 7200n)).exitCode).not.toBe(0);
  });

  test('has the proof that ssh-keygen makes with the host key', async () => {
    await writeFile(file('key'), vector.hostPrivateKey, { mode: 0o600 });
    await writeFile(file('message'), vector.proofMessage);
    await execa('ssh-keygen', ['-Y', 'sign', '-q', '-f', file('key'), '-n', PROOF_NAMESPACE, file('message')]);
    expect(await readFile(file('message.sig'), 'utf8')).toBe(armorSshsig(decodeBase64(vector.tokenRequest.proof)));
    const { stdout } = await execa('ssh-keygen', ['-y', '-f', file('key')]);
    expect(parsePublicKeyLine(stdout).blob).toEqual(host.blob);
  });
});
