/**
 * Servers that do complete an SSH key exchange, by the server of `ssh2`, with host keys as a test wants them: honest ones, keys
 * that the server does not own, keys that change, keys that are written oddly.
 */
import { generateKeyPairSync, randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import ssh2, { type ParsedKey } from 'ssh2';
import { encodePrivateKey } from '#openssh/private-key.ts';

// Plain Node finds no named export `Server` in this CommonJS module.
const { Server, utils } = ssh2;

export type KeyKind = 'ed25519' | 'ecdsa' | 'rsa';

const generate = {
  ed25519: () => generateKeyPairSync('ed25519'),
  ecdsa: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
} as const;

/** A new key pair. Not by the generator of `ssh2`: of 256 Ed25519 keys it writes one that its own parser refuses (a first byte of zero is lost). */
export function newHostKey(kind: KeyKind): ParsedKey {
  const key = utils.parseKey(
    encodePrivateKey(generate[kind]().privateKey, { random: { checkInt: randomInt(2 ** 32) } }),
  );
  if (key instanceof Error) throw key;
  return key;
}

/** The public half of `shown` and the signatures of `owned`: what somebody has who saw a host but is not it. */
export function forgedKey(shown: ParsedKey, owned: ParsedKey): ParsedKey {
  return showing(owned, shown.getPublicSSH());
}

/** Signs rightly, but shows its public key as these bytes. */
export function showing(owned: ParsedKey, blob: Buffer): ParsedKey {
  const disguised = Object.create(owned) as ParsedKey;
  disguised.getPublicSSH = () => blob;
  return disguised;
}

/** For `startTcpServer`: serves the host keys that belong to each connection, numbered from 1. */
export function servesKeys(
  keysFor: (connection: number) => readonly ParsedKey[],
): (socket: Socket, connection: number) => void {
  return (socket, connection) => {
    const hostKeys = keysFor(connection).map((key) => ({ key }));
    const server = new Server({ hostKeys }, (client) => client.on('error', () => {}));
    server.injectSocket(socket);
  };
}

/** For `startTcpServer`: sends what a server sent in an earlier exchange, once more. */
export function replays(recorded: Uint8Array): (socket: Socket) => void {
  return (socket) => void socket.resume().write(recorded);
}
