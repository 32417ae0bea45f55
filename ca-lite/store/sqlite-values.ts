/** Values as SQLite keeps them: a serial as 8 bytes big-endian, a list of text as JSON, a cursor as a row number. */

/** @param serial 0 to 2^64 - 1 */
export function encodeSerial(serial: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, serial);
  return bytes;
}

export function decodeSerial(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0);
}

/** @param hex serials of 8 bytes, one after the other */
export function decodeSerials(hex: string): BigUint64Array {
  const bytes = new Uint8Array(hex.length / 2);
  Buffer.from(bytes.buffer).write(hex, 'hex');
  const view = new DataView(bytes.buffer);
  const serials = new BigUint64Array(bytes.length / 8);
  for (let index = 0; index < serials.length; index++) serials[index] = view.getBigUint64(8 * index);
  return serials;
}

export function encodeList(list: readonly string[]): string {
  return JSON.stringify(list);
}

export function decodeList(text: string): string[] {
  return JSON.parse(text) as string[];
}

export function encodeCursor(row: bigint): string {
  return row.toString();
}

/** @throws TypeError for what no page gave out */
export function decodeCursor(cursor: string): bigint {
  if (!/^[1-9][0-9]{0,18}$/.test(cursor)) throw new TypeError('no cursor of a page');
  return BigInt(cursor);
}
