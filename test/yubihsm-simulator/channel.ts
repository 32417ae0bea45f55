/**
 * The device's side of SCP03: key derivation, cryptograms, MACs and encryption of one session. Written from the
 * specification a second time and block by block; it shares nothing with the client.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { long, short } from './cursor.ts';
import { Refusal } from './numbers.ts';

function aesBlock(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-ecb', key, null);
  cipher.setAutoPadding(false);
  return cipher.update(block);
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ b[index]!));
}

function shiftLeft(block: Buffer): Buffer {
  const number = BigInt(`0x${block.toString('hex')}`) << 1n;
  const overflow = number >> 128n;
  const folded = (number & ((1n << 128n) - 1n)) ^ (overflow ? 0x87n : 0n);
  return Buffer.from(folded.toString(16).padStart(32, '0'), 'hex');
}

/** AES-CMAC, one block after the other (RFC 4493, figure 2.3). */
export function cmac(key: Buffer, message: Buffer): Buffer {
  const k1 = shiftLeft(aesBlock(key, Buffer.alloc(16)));
  const whole = message.length > 0 && message.length % 16 === 0;
  const padded = whole ? message : Buffer.concat([message, Buffer.of(0x80), Buffer.alloc(15 - (message.length % 16))]);
  const lastMask = whole ? k1 : shiftLeft(k1);
  let state = Buffer.alloc(16);
  for (let at = 0; at < padded.length; at += 16) {
    const block = padded.subarray(at, at + 16);
    const isLast = at + 16 === padded.length;
    state = aesBlock(key, xor(state, isLast ? xor(block, lastMask) : block)) as Buffer<ArrayBuffer>;
  }
  return state;
}

function kdf(key: Buffer, constant: number, bits: number, context: Buffer): Buffer {
  const label = Buffer.concat([Buffer.alloc(11), Buffer.of(constant)]);
  return cmac(key, Buffer.concat([label, Buffer.of(0), short(bits), Buffer.of(1), context])).subarray(0, bits / 8);
}

/** One session, from CREATE SESSION on. */
export class DeviceChannel {
  readonly sessionId: number;
  /** The authentication key that opened it. */
  readonly authKeyId: number;
  readonly cardCryptogram: Buffer;
  readonly #hostCryptogram: Buffer;
  readonly #enc: Buffer;
  readonly #mac: Buffer;
  readonly #rmac: Buffer;
  #chain = Buffer.alloc(16);
  #counter = 0n;
  authenticated = false;
  lastUsed = 0;

  constructor(sessionId: number, authKeyId: number, keys: Buffer, hostChallenge: Buffer, cardChallenge: Buffer) {
    const context = Buffer.concat([hostChallenge, cardChallenge]);
    const encKey = keys.subarray(0, 16);
    const macKey = keys.subarray(16, 32);
    this.sessionId = sessionId;
    this.authKeyId = authKeyId;
    this.#enc = kdf(encKey, 4, 128, context);
    this.#mac = kdf(macKey, 6, 128, context);
    this.#rmac = kdf(macKey, 7, 128, context);
    this.cardCryptogram = kdf(this.#mac, 0, 64, context);
    this.#hostCryptogram = kdf(this.#mac, 1, 64, context);
  }

  /** Checks AUTHENTICATE SESSION: the host's cryptogram and the MAC over the message. */
  authenticate(message: Buffer): void {
    const cryptogram = message.subarray(4, 12);
    const mac = cmac(this.#mac, Buffer.concat([this.#chain, message.subarray(0, -8)]));
    if (!cryptogram.equals(this.#hostCryptogram) || !mac.subarray(0, 8).equals(message.subarray(-8))) {
      throw new Refusal('authenticationFailed');
    }
    this.#chain = mac as Buffer<ArrayBuffer>;
    this.#counter = 1n;
    this.authenticated = true;
  }

  /** Checks and decrypts a SESSION MESSAGE. A message that fails its check changes nothing. */
  unseal(message: Buffer): Buffer {
    const mac = cmac(this.#mac, Buffer.concat([this.#chain, message.subarray(0, -8)]));
    if (!mac.subarray(0, 8).equals(message.subarray(-8))) throw new Refusal('authenticationFailed');
    const encrypted = message.subarray(4, -8);
    if (encrypted.length === 0 || encrypted.length % 16 !== 0) throw new Refusal('wrongLength');
    this.#chain = mac as Buffer<ArrayBuffer>;
    const decipher = createDecipheriv('aes-128-cbc', this.#enc, this.#iv());
    decipher.setAutoPadding(false);
    const padded = decipher.update(encrypted);
    return padded.subarray(0, padded.lastIndexOf(0x80));
  }

  /** Encrypts the answer to the message that was unsealed last. */
  seal(inner: Buffer): Buffer {
    const padding = Buffer.alloc(16 - (inner.length % 16));
    padding[0] = 0x80;
    const cipher = createCipheriv('aes-128-cbc', this.#enc, this.#iv());
    cipher.setAutoPadding(false);
    const encrypted = cipher.update(Buffer.concat([inner, padding]));
    const head = Buffer.concat([
      Buffer.of(0x85),
      short(1 + encrypted.length + 8),
      Buffer.of(this.sessionId),
      encrypted,
    ]);
    const mac = cmac(this.#rmac, Buffer.concat([this.#chain, head])).subarray(0, 8);
    this.#counter += 1n;
    return Buffer.concat([head, mac]);
  }

  #iv(): Buffer {
    return aesBlock(this.#enc, Buffer.concat([Buffer.alloc(8), long(this.#counter)]));
  }
}
