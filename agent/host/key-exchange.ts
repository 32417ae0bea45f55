/**
 * The client's side of an SSH key exchange (RFC 4253 sections 7 and 8), up to the server's signature over the exchange: enough to
 * know which host key or certificate a server really holds. Messages in, messages out; `served-key.ts` has the socket.
 * Nothing is encrypted and nobody logs in: after the reply the client says goodbye.
 */
import { hash } from 'node:crypto';
import { type Certificate, MAX_CERTIFICATE_LENGTH, decodeCertificate } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, isKeyType } from '#openssh/key-type.ts';
import { type PublicKey, decodePublicKey } from '#openssh/public-key.ts';
import { MAX_SIGNATURE_LENGTH, decodeSignature, verifySignature } from '#openssh/signature.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import { type KexAlgorithm, type KexHalf, kexAlgorithms } from './kex-algorithm.ts';

export const messageNumbers = {
  disconnect: 1,
  ignore: 2,
  debug: 4,
  kexInit: 20,
  exchange: 30,
  exchangeReply: 31,
} as const;

const MAX_NAME_LIST_LENGTH = 16 * 1024;
const MAX_KEX_VALUE_LENGTH = 2 * 1024;
const BY_APPLICATION = 11;

const ciphers =
  'chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr';
const macs =
  'hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256,hmac-sha2-512';

/** What both sides said before the exchange: it goes into the exchange hash. */
export interface Transcript {
  readonly clientIdentification: string;
  readonly serverIdentification: string;
  readonly clientKexInit: Uint8Array;
  readonly serverKexInit: Uint8Array;
}

export interface Negotiated {
  readonly kex: KexAlgorithm;
  /** The server sent a guess that was wrong: its next packet is to be ignored (RFC 4253 section 7). */
  readonly ignoreNext: boolean;
}

export interface ServedHostKey {
  /** Key or certificate as the server sent it. */
  readonly blob: Uint8Array;
  readonly key: PublicKey;
  readonly certificate: Certificate | undefined;
}

/** @param cookie 16 random bytes @param hostKeyAlgorithms the only ones to accept, the preferred one first */
export function encodeKexInit(cookie: Uint8Array, hostKeyAlgorithms: readonly string[]): Uint8Array {
  const writer = new WireWriter(1024).byte(messageNumbers.kexInit).raw(cookie);
  writer.string([...kexAlgorithms.keys()].join(',')).string(hostKeyAlgorithms.join(','));
  for (const list of [ciphers, ciphers, macs, macs, 'none', 'none', '', '']) writer.string(list);
  return writer.byte(0).uint32(0).finish();
}

/**
 * @returns `'no-host-key'` when the server has no key for the algorithms asked for, `'no-kex'` when no key exchange is common
 * @throws FormatError
 */
export function negotiate(
  serverKexInit: Uint8Array,
  hostKeyAlgorithms: readonly string[],
): Negotiated | 'no-host-key' | 'no-kex' {
  const reader = new WireReader(serverKexInit);
  if (reader.byte() !== messageNumbers.kexInit)
    throw new FormatError('bad-value', 'the server did not begin with KEXINIT');
  reader.raw(16);
  const nameList = () => reader.text(MAX_NAME_LIST_LENGTH).split(',');
  const [serverKex, serverHostKeys] = [nameList(), nameList()];
  for (let list = 2; list < 10; list++) nameList();
  const guessed = reader.byte() !== 0;
  const name = [...kexAlgorithms.keys()].find((own) => serverKex.includes(own));
  const hostKey = hostKeyAlgorithms.find((own) => serverHostKeys.includes(own));
  if (hostKey === undefined) return 'no-host-key';
  const kex = name === undefined ? undefined : kexAlgorithms.get(name);
  if (kex === undefined) return 'no-kex';
  return { kex, ignoreNext: guessed && (serverKex[0] !== name || serverHostKeys[0] !== hostKey) };
}

export function encodeExchange(kex: KexAlgorithm, half: KexHalf): Uint8Array {
  return new WireWriter().byte(messageNumbers.exchange)[kex.valueEncoding](half.ownPublic).finish();
}

/**
 * Reads the server's reply and verifies its signature over the whole exchange.
 * @throws FormatError for a malformed reply or a signature that is not valid
 */
export function verifyExchangeReply(
  reply: Uint8Array,
  kex: KexAlgorithm,
  half: KexHalf,
  transcript: Transcript,
): ServedHostKey {
  const reader = new WireReader(reply);
  if (reader.byte() !== messageNumbers.exchangeReply) throw new FormatError('bad-value', 'not a reply to the exchange');
  const blob = reader.string(MAX_CERTIFICATE_LENGTH);
  const peerPublic = reader[kex.valueEncoding](MAX_KEX_VALUE_LENGTH);
  const signature = reader.string(MAX_SIGNATURE_LENGTH);
  reader.end();
  const served = decodeServed(blob);
  const exchangeHash = hashExchange(kex, half, transcript, blob, peerPublic);
  if (!verifySignature(served.key, exchangeHash, decodeSignature(served.key.type, signature))) {
    throw new FormatError('bad-value', 'the signature of the key exchange is not valid');
  }
  return served;
}

/** RFC 4253 section 8, RFC 5656 section 4. */
function hashExchange(
  kex: KexAlgorithm,
  half: KexHalf,
  transcript: Transcript,
  hostKey: Uint8Array,
  peerPublic: Uint8Array,
): Uint8Array {
  const data = new WireWriter(4096)
    .string(transcript.clientIdentification)
    .string(transcript.serverIdentification)
    .string(transcript.clientKexInit)
    .string(transcript.serverKexInit)
    .string(hostKey);
  data[kex.valueEncoding](half.ownPublic)[kex.valueEncoding](peerPublic);
  return hash(kex.hash, data.mpint(agree(half, peerPublic)).finish(), 'buffer');
}

function agree(half: KexHalf, peerPublic: Uint8Array): Uint8Array {
  try {
    return half.agree(peerPublic);
  } catch (cause) {
    throw new FormatError('bad-value', 'the value of the server is not one of the key exchange', { cause });
  }
}

function decodeServed(blob: Uint8Array): ServedHostKey {
  if (isKeyType(new WireReader(blob).text(MAX_ALGORITHM_NAME_LENGTH))) {
    return { blob, key: decodePublicKey(blob), certificate: undefined };
  }
  const certificate = decodeCertificate(blob);
  return { blob, key: certificate.key, certificate };
}

/** The polite end: sshd logs a disconnect and no error. */
export function encodeDisconnect(): Uint8Array {
  return new WireWriter().byte(messageNumbers.disconnect).uint32(BY_APPLICATION).string('done').string('').finish();
}
