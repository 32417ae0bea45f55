/** Both sides of a key exchange: the server's is made here with the same primitives, so that each way of lying can be tried. */
import { generateKeyPairSync, hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { kexAlgorithms } from '#agent/host/kex-algorithm.ts';
import { encodeExchange, encodeKexInit, negotiate, verifyExchangeReply } from '#agent/host/key-exchange.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { encodeSignature, signWithKeyObject } from '#openssh/signature.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';

const cookie = new Uint8Array(16);
const transcript = {
  clientIdentification: 'SSH-2.0-client',
  serverIdentification: 'SSH-2.0-server',
  clientKexInit: encodeKexInit(cookie, ['ssh-ed25519']),
  serverKexInit: encodeKexInit(cookie.fill(1), ['ssh-ed25519']),
};

function exchange(name: string, tamper: (parts: { hash: Uint8Array; blob: Uint8Array }) => void = () => {}) {
  const kex = kexAlgorithms.get(name);
  if (kex === undefined) throw new TypeError('no such algorithm');
  const { privateKey } = generateKeyPairSync('ed25519');
  const blob = encodePublicKey(publicKeyFromObject(privateKey));
  const [client, server] = [kex.start(), kex.start()];
  const reader = new WireReader(encodeExchange(kex, client));
  reader.byte();
  const clientPublic = reader[kex.valueEncoding]();
  const data = new WireWriter()
    .string(transcript.clientIdentification)
    .string(transcript.serverIdentification)
    .string(transcript.clientKexInit)
    .string(transcript.serverKexInit)
    .string(blob);
  data[kex.valueEncoding](clientPublic)[kex.valueEncoding](server.ownPublic).mpint(server.agree(clientPublic));
  const parts = { hash: Uint8Array.from(hash(kex.hash, data.finish(), 'buffer')), blob };
  tamper(parts);
  const signature = encodeSignature(signWithKeyObject(privateKey, 'ssh-ed25519', parts.hash));
  const writer = new WireWriter().byte(31).string(parts.blob);
  const reply = writer[kex.valueEncoding](server.ownPublic).string(signature).finish();
  return { kex, client, reply, blob };
}

describe('verifyExchangeReply', () => {
  test.each([...kexAlgorithms.keys()])('believes a server that signs the exchange: %s', (name) => {
    const { kex, client, reply, blob } = exchange(name);
    const served = verifyExchangeReply(reply, kex, client, transcript);
    expect(served.blob).toEqual(blob);
    expect(served.certificate).toBeUndefined();
  });

  test.each([
    ['another exchange', (parts: { hash: Uint8Array }) => void (parts.hash[0] = (parts.hash[0] ?? 0) ^ 1)],
    [
      'a key that it does not have',
      (parts: { blob: Uint8Array }) => {
        parts.blob = encodePublicKey(publicKeyFromObject(generateKeyPairSync('ed25519').privateKey));
      },
    ],
  ])('does not believe one that signs for %s', (_, tamper) => {
    const { kex, client, reply } = exchange('curve25519-sha256', tamper);
    expect(() => verifyExchangeReply(reply, kex, client, transcript)).toThrow(FormatError);
  });

  test('refuses every prefix, and a byte too many', () => {
    const { kex, client, reply } = exchange('curve25519-sha256');
    for (let length = 0; length < reply.length; length += 1) {
      expect(() => verifyExchangeReply(reply.subarray(0, length), kex, client, transcript)).toThrow(FormatError);
    }
    const longer = Buffer.concat([reply, Uint8Array.of(0)]);
    expect(() => verifyExchangeReply(longer, kex, client, transcript)).toThrow(FormatError);
  });

  test('refuses a value of low order', () => {
    const { kex, client, blob } = exchange('curve25519-sha256');
    const reply = new WireWriter().byte(31).string(blob).string(new Uint8Array(32)).string(new Uint8Array(8)).finish();
    expect(() => verifyExchangeReply(reply, kex, client, transcript)).toThrow(FormatError);
  });
});

describe('negotiate', () => {
  const kexInit = (kex: string, hostKeys: string, follows = 0) => {
    const writer = new WireWriter().byte(20).raw(cookie).string(kex).string(hostKeys);
    for (let list = 0; list < 8; list += 1) writer.string('');
    return writer.byte(follows).uint32(0).finish();
  };

  test('takes our first choice that the server has', () => {
    const agreed = negotiate(kexInit('ecdh-sha2-nistp256,curve25519-sha256', 'rsa-sha2-512,ssh-ed25519'), [
      'ssh-ed25519',
    ]);
    expect(agreed).toEqual({ kex: kexAlgorithms.get('curve25519-sha256'), ignoreNext: false });
  });

  test('tells a missing key from a missing key exchange', () => {
    expect(negotiate(kexInit('curve25519-sha256', 'ssh-rsa'), ['ssh-ed25519'])).toBe('no-host-key');
    expect(negotiate(kexInit('sntrup761x25519-sha512', 'ssh-ed25519'), ['ssh-ed25519'])).toBe('no-kex');
  });

  test('notices a wrong guess', () => {
    const wrong = negotiate(kexInit('ecdh-sha2-nistp256,curve25519-sha256', 'ssh-ed25519', 1), ['ssh-ed25519']);
    expect(wrong).toMatchObject({ ignoreNext: true });
    const right = negotiate(kexInit('curve25519-sha256', 'ssh-ed25519', 1), ['ssh-ed25519']);
    expect(right).toMatchObject({ ignoreNext: false });
  });

  test('refuses every prefix', () => {
    const whole = kexInit('curve25519-sha256', 'ssh-ed25519');
    for (let length = 0; length < whole.length - 4; length += 1) {
      expect(() => negotiate(whole.subarray(0, length), ['ssh-ed25519'])).toThrow(FormatError);
    }
  });
});
