/** Steps 3 and 4 under attack: challenges that are altered, foreign, late or used, and proofs that prove nothing. */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { createChallengeKey } from '#ca-lite/enrol/challenge-key.ts';
import { makeChallenge } from '#ca-lite/enrol/challenge.ts';
import { FileSigner } from '#ca-lite/signer/file-signer.ts';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeSshsig, encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import {
  CHALLENGE_NAMESPACE,
  type ChallengePayload,
  type ChallengeReply,
  PROOF_NAMESPACE,
  proofMessage,
} from '#protocol/host-challenge.ts';
import { type HostKeyPair, bodyOf, hostKeyPair, prove } from '#test/support/enrolment-client.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, expectRefused, openStage } from './stage.ts';

let stage: Stage;
let host: HonestHost;
let other: HonestHost;
/** A challenge for `host` that nobody uses up. */
let given: ChallengeReply;

beforeAll(async () => {
  stage = await openStage();
  host = await stage.addHost('web1');
  other = await stage.addHost('web2');
  given = await newChallenge(host);
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

async function newChallenge({ claim }: HonestHost): Promise<ChallengeReply> {
  return bodyOf(await stage.client.challenge(claim));
}

const token = (challenge: ChallengeReply, proof: string) => async () => stage.client.token(challenge, proof);

/** A proof put together by hand: names one key, signs with another, over whatever, in any namespace. */
function forgeProof(parts: {
  readonly names: Uint8Array;
  readonly by: HostKeyPair;
  readonly over: Uint8Array;
  readonly namespace?: string;
}): string {
  const { names: keyBlob, by, over, namespace = PROOF_NAMESPACE } = parts;
  const signature = signWithKeyObject(by.privateKey, 'ssh-ed25519', encodeSshsigToBeSigned(over, namespace));
  return encodeBase64(encodeSshsig({ keyBlob, namespace, signature }));
}

describe('the proof', () => {
  holds('proof-other-key', async () => {
    const stranger = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
    for (const key of [stranger, other.key]) {
      await expectRefused(stage, 'proof-wrong-key', token(given, prove(given, key)));
      const posing = forgeProof({ names: host.key.blob, by: key, over: proofMessage(given) });
      await expectRefused(stage, 'proof-invalid', token(given, posing));
    }
  });

  holds('proof-other-words', async () => {
    const { blob: names } = host.key;
    const another = await newChallenge(host);
    const wrong = [
      forgeProof({ names, by: host.key, over: decodeBase64(given.payload) }),
      forgeProof({ names, by: host.key, over: proofMessage(another) }),
      forgeProof({ names, by: host.key, over: proofMessage({ ...given, signature: '' }) }),
      prove(given, host.key, 'file'),
      prove(given, host.key, CHALLENGE_NAMESPACE),
      prove(given, host.key).replace(/^..../, 'AAAA'),
      '',
    ];
    for (const proof of wrong) await expectRefused(stage, 'proof-invalid', token(given, proof));
    expect((await stage.client.token(another, prove(another, host.key))).status).toBe(200);
  });

  holds('proof-certificate', async () => {
    // The certificate of the challenge itself is one that the host CA signed: it must not count for the host.
    const { certificate } = decodeSshsig(decodeBase64(given.signature));
    const names = certificate?.blob ?? expect.unreachable();
    await expectRefused(
      stage,
      'proof-invalid',
      token(given, forgeProof({ names, by: host.key, over: proofMessage(given) })),
    );
  });
});

describe('the challenge', () => {
  holds('payload-altered', async () => {
    const payload = JSON.parse(Buffer.from(given.payload, 'base64').toString()) as ChallengePayload;
    const changes: Partial<ChallengePayload>[] = [
      { names: [other.name] },
      { names: [host.name, other.name] },
      { addresses: [...other.machine.addresses] },
      { port: payload.port + 1 },
      { fingerprint: other.key.fingerprint },
      { nonce: 'A'.repeat(43) },
      { issuedAt: payload.issuedAt + 1 },
      { expiresAt: payload.expiresAt + 1 },
    ];
    const altered = changes.map((change) => encodeBase64(Buffer.from(JSON.stringify({ ...payload, ...change }))));
    const rewritten = encodeBase64(Buffer.from(`${JSON.stringify(payload)} `));
    const loose = given.payload.replace(/=*$/, '');
    for (const changed of [...altered, rewritten, loose === given.payload ? `${loose}====` : loose, '', 'AA==']) {
      const challenge = { ...given, payload: changed };
      await expectRefused(stage, 'challenge-invalid', token(challenge, prove(challenge, host.key)));
    }
    const swapped = { ...given, signature: (await newChallenge(host)).signature };
    await expectRefused(stage, 'challenge-invalid', token(swapped, prove(swapped, host.key)));
  });

  holds('challenge-foreign', async () => {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const claimed = { ...host.claim, fingerprint: host.key.fingerprint };
    // A challenge key under another host CA; and a plain key without a certificate: the host's own.
    const foreign = await createChallengeKey(new FileSigner(generateKeyPairSync('ed25519').privateKey), now);
    const self = {
      certificateBlob: host.key.blob,
      validBefore: now + 3600n,
      sign: (data: Uint8Array) => signWithKeyObject(host.key.privateKey, 'ssh-ed25519', data),
    };
    for (const key of [foreign, self]) {
      const challenge = makeChallenge(claimed, key, now, 120, new Uint8Array(32));
      await expectRefused(stage, 'challenge-invalid', token(challenge, prove(challenge, host.key)));
    }
  });

  holds('challenge-expired', async () => {
    const ca = await stage.serveCopy('hasty', { enrolment: { challenge_lifetime: '1s' } });
    await using store = await ca.ca.openStore();
    const client = await stage.clientOf({ ca });
    const challenge = bodyOf(await client.challenge(host.claim));
    const { issuedAt, expiresAt } = JSON.parse(Buffer.from(challenge.payload, 'base64').toString()) as ChallengePayload;
    expect(expiresAt - issuedAt).toBe(1);
    await sleep(expiresAt * 1000 - Date.now() + 20);
    const late = async () => client.token(challenge, prove(challenge, host.key));
    await expectRefused({ store }, 'challenge-expired', late);
  });

  holds('challenge-twice', async () => {
    const challenge = await newChallenge(other);
    const proof = prove(challenge, other.key);
    const head = await stage.store.auditHead();
    const together = await Promise.all(Array.from({ length: 5 }, token(challenge, proof)));
    const codes = together.map(({ status, json }) => (status === 200 ? 'accepted' : String(json?.code)));
    expect(codes.toSorted()).toEqual(['accepted', ...Array.from({ length: 4 }, () => 'challenge-used')]);
    expect(await stage.auditSince(head.count)).toHaveLength(5);
    await expectRefused(stage, 'challenge-used', token(challenge, proof));
    await expectRefused(stage, 'challenge-used', token(challenge, prove(challenge, other.key)));
  });
});
