/**
 * Poly1305 (RFC 8439 section 2.5). node:crypto has it only inside the AEAD of RFC 8439, whose framing OpenSSH does not use.
 * For private key files alone: big integers are slow, and not constant in time.
 */
const PRIME = (1n << 130n) - 5n;
const CLAMP = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffffn;

/** The tag of 16 bytes under a one-time key of 32. */
export function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  const r = littleEndian(key.subarray(0, 16)) & CLAMP;
  let sum = 0n;
  for (let start = 0; start < message.length; start += 16) {
    const block = message.subarray(start, start + 16);
    const marked = littleEndian(block) | (1n << BigInt(8 * block.length));
    sum = ((sum + marked) * r) % PRIME;
  }
  return toLittleEndian(sum + littleEndian(key.subarray(16, 32)));
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`);
}

function toLittleEndian(number: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, number), true);
  view.setBigUint64(8, BigInt.asUintN(64, number >> 64n), true);
  return bytes;
}
