import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { textOption, assembleCertificate, encodeToBeSigned } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  CHALLENGE_NAMESPACE,
  CHALLENGE_PRINCIPAL,
  type ChallengeReply,
  PROOF_NAMESPACE,
  proofMessage,
} from '#protocol/host-challenge.ts';
import { makeChallenge, readChallenge } from '#ca-lite/enrol/challenge.ts';
import { type ChallengeKey, ChallengeKeyRing, createChallengeKey } from '#ca-lite/enrol/challenge-key.ts';
import { findProofFault, verifiedVoucher } from '#ca-lite/enrol/proof.ts';
import { FileSigner } from '#ca-lite/signer/file-signer.ts';

const now = 1_800_000_000n;
const caObject = generateKeyPairSync('ed25519').privateKey;
const hostCa = new FileSigner(caObject);
const trusted = new Set([fingerprintOf(encodePublicKey(hostCa.publicKey))]);
const hostObject = generateKeyPairSync('ed25519').privateKey;
const hostBlob = encodePublicKey(publicKeyFromObject(hostObject));
const host = { names: ['web1.example.com'], addresses: ['10.0.0.1'], port: 22, fingerprint: fingerprintOf(hostBlob) };
let key: ChallengeKey;
let challenge: ChallengeReply;

beforeAll(async () => {
  key = await createChallengeKey(hostCa, now);
  challenge = makeChallenge(host, key, now, 120, randomBytes(32));
});

function prove(object = hostObject, { namespace = PROOF_NAMESPACE, of = challenge, named = object } = {}): string {
  const keyBlob = encodePublicKey(publicKeyFromObject(named));
  const signature = signWithKeyObject(object, 'ssh-ed25519', encodeSshsigToBeSigned(proofMessage(of), namespace));
  return encodeBase64(encodeSshsig({ keyBlob, namespace, signature }));
}

describe('challenges', () => {
  it('come back as they were made', () => {
    expect(readChallenge(challenge, trusted, now + 60n)).toMatchObject({
      names: host.names,
      fingerprint: host.fingerprint,
      port: 22,
    });
  });

  it('expire', () => {
    expect(readChallenge(challenge, trusted, now + 119n)).toMatchObject({ names: host.names });
    expect(readChallenge(challenge, trusted, now + 120n)).toBe('challenge-expired');
  });

  it('are refused when one bit of payload or signature is another', () => {
    for (const member of ['payload', 'signature'] as const) {
      const bytes = decodeBase64(challenge[member]);
      for (let at = 0; at < bytes.length; at += 7) {
        const altered = Uint8Array.from(bytes);
        altered[at] = (altered[at] ?? 0) ^ 0x01;
        expect(readChallenge({ ...challenge, [member]: encodeBase64(altered) }, trusted, now)).toBe(
          'challenge-invalid',
        );
      }
    }
  });

  it('are refused from another CA, and from other certificates of this one', async () => {
    const stranger = new FileSigner(generateKeyPairSync('ed25519').privateKey);
    const foreign = makeChallenge(host, await createChallengeKey(stranger, now), now, 120, randomBytes(32));
    expect(readChallenge(foreign, trusted, now)).toBe('challenge-invalid');
    const fields = {
      key: publicKeyFromObject(hostObject),
      serial: 5n,
      keyId: 'x',
      validAfter: now - 60n,
      validBefore: now + 3600n,
      criticalOptions: [textOption('force-command', '/bin/false')],
      extensions: [],
      nonce: randomBytes(32),
      signatureKey: hostCa.publicKey,
    };
    // A host certificate of this CA, and a user certificate with another principal, must not speak for it.
    for (const change of [
      { type: 'host', principals: [CHALLENGE_PRINCIPAL] },
      { type: 'user', principals: ['root'] },
    ] as const) {
      const toBeSigned = encodeToBeSigned({ ...fields, ...change });
      const certificateBlob = assembleCertificate(toBeSigned, await hostCa.sign(toBeSigned));
      const impostor = {
        certificateBlob,
        validBefore: now + 3600n,
        sign: (data: Uint8Array) => signWithKeyObject(hostObject, 'ssh-ed25519', data),
      };
      expect(readChallenge(makeChallenge(host, impostor, now, 120, randomBytes(32)), trusted, now)).toBe(
        'challenge-invalid',
      );
    }
  });

  it('are refused in another namespace', () => {
    const bytes = decodeBase64(challenge.payload);
    const signature = key.sign(encodeSshsigToBeSigned(bytes, 'file'));
    const sshsig = encodeBase64(encodeSshsig({ keyBlob: key.certificateBlob, namespace: 'file', signature }));
    expect(readChallenge({ payload: challenge.payload, signature: sshsig }, trusted, now)).toBe('challenge-invalid');
    expect(CHALLENGE_NAMESPACE).not.toBe(PROOF_NAMESPACE);
  });

  it('are made by one key until it nears its end, also when many ask at once, and by a new one when the clock was set back', async () => {
    const ring = new ChallengeKeyRing(hostCa);
    const [first, second] = await Promise.all([ring.current(now), ring.current(now)]);
    expect(second).toBe(first);
    expect(await ring.current(now + 3000n)).toBe(first);
    const next = await Promise.all([ring.current(now + 3300n), ring.current(now + 3300n)]);
    expect(next[0]).not.toBe(first);
    expect(next[1]).toBe(next[0]);
    expect(await ring.current(now)).not.toBe(next[0]);
  });

  it('are made again after the signer failed once', async () => {
    let fails = true;
    const flaky = Object.create(hostCa, {
      sign: { value: async (data: Uint8Array) => (fails ? Promise.reject(new Error('gone')) : hostCa.sign(data)) },
      publicKey: { value: hostCa.publicKey },
    }) as FileSigner;
    const ring = new ChallengeKeyRing(flaky);
    await expect(ring.current(now)).rejects.toThrow('gone');
    fails = false;
    expect((await ring.current(now)).validBefore).toBe(now + 3600n);
  });
});

describe('proofs', () => {
  it('verify under the key that the dial-back saw', () => {
    expect(findProofFault(prove(), challenge, hostBlob)).toBeUndefined();
  });

  it('are refused from another key, also under a false name', () => {
    const other = generateKeyPairSync('ed25519').privateKey;
    expect(findProofFault(prove(other), challenge, hostBlob)).toBe('proof-wrong-key');
    expect(findProofFault(prove(other, { named: hostObject }), challenge, hostBlob)).toBe('proof-invalid');
  });

  it('are refused in another namespace, over another challenge, as a certificate, and as junk', () => {
    expect(findProofFault(prove(hostObject, { namespace: 'file' }), challenge, hostBlob)).toBe('proof-invalid');
    const other = makeChallenge(host, key, now, 120, randomBytes(32));
    expect(findProofFault(prove(hostObject, { of: other }), challenge, hostBlob)).toBe('proof-invalid');
    expect(findProofFault(prove(), { ...challenge, signature: other.signature }, hostBlob)).toBe('proof-invalid');
    expect(findProofFault(challenge.signature, challenge, hostBlob)).toBe('proof-invalid');
    for (const junk of ['', 'AAAA', 'not base64'])
      expect(findProofFault(junk, challenge, hostBlob)).toBe('proof-invalid');
  });

  it('can vouch for another key of the same host', () => {
    const vouching = generateKeyPairSync('ed25519').privateKey;
    expect(verifiedVoucher(prove(vouching), challenge)).toBe(
      fingerprintOf(encodePublicKey(publicKeyFromObject(vouching))),
    );
    expect(verifiedVoucher(prove(vouching, { namespace: 'file' }), challenge)).toBeUndefined();
    expect(verifiedVoucher('AAAA', challenge)).toBeUndefined();
  });
});
