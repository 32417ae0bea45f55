/**
 * Key exchange algorithms for looking at the host key of an sshd: ECDH (RFC 5656, RFC 8731) and Diffie-Hellman (RFC 8268). One table.
 * Their secrets protect nothing here, since the connection ends with the exchange; they are real so that the server's signature is.
 */
import { createDiffieHellmanGroup, createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url } from '#openssh/base64.ts';

/** Our half of an exchange. Values are strings in ECDH and mpints in Diffie-Hellman, on the wire and in the exchange hash. */
export interface KexHalf {
  readonly ownPublic: Uint8Array;
  /** The shared secret as an unsigned magnitude. @throws for a value of the peer that is none */
  agree(peerPublic: Uint8Array): Uint8Array;
}

export interface KexAlgorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly valueEncoding: 'string' | 'mpint';
  /** Fresh random values each time. */
  start(): KexHalf;
}

const ecdh = (curve: string, hash: KexAlgorithm['hash']): KexAlgorithm => ({
  hash,
  valueEncoding: 'string',
  start: () => {
    const half = createECDH(curve);
    return { ownPublic: half.generateKeys(), agree: (peer) => half.computeSecret(peer) };
  },
});

const dh = (group: string, hash: KexAlgorithm['hash']): KexAlgorithm => ({
  hash,
  valueEncoding: 'mpint',
  start: () => {
    const half = createDiffieHellmanGroup(group);
    return { ownPublic: half.generateKeys(), agree: (peer) => half.computeSecret(peer) };
  },
});

const x25519: KexAlgorithm = { hash: 'sha256', valueEncoding: 'string', start: startX25519 };

/** By name, the preferred one first. */
export const kexAlgorithms: ReadonlyMap<string, KexAlgorithm> = new Map([
  ['curve25519-sha256', x25519],
  ['curve25519-sha256@libssh.org', x25519],
  ['ecdh-sha2-nistp256', ecdh('prime256v1', 'sha256')],
  ['ecdh-sha2-nistp384', ecdh('secp384r1', 'sha384')],
  ['ecdh-sha2-nistp521', ecdh('secp521r1', 'sha512')],
  ['diffie-hellman-group14-sha256', dh('modp14', 'sha256')],
  ['diffie-hellman-group16-sha512', dh('modp16', 'sha512')],
  ['diffie-hellman-group18-sha512', dh('modp18', 'sha512')],
]);

function startX25519(): KexHalf {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return {
    ownPublic: decodeBase64Url(publicKey.export({ format: 'jwk' }).x ?? ''),
    agree: (peer) => {
      const key = { kty: 'OKP', crv: 'X25519', x: encodeBase64Url(peer) };
      return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'jwk' }) });
    },
  };
}
