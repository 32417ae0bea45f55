/**
 * PEM armor (RFC 7468, and RFC 1421 headers as old OpenSSL files have them): finds one block in a text.
 * Text before and after the block is skipped, as all programs do. Refused on purpose: white space inside the base64 other than
 * line ends, base64 that is not canonical (when it is decoded).
 */
import { FormatError } from './format-error.ts';

export interface PemBlock {
  /** The words after BEGIN, e.g. `RSA PRIVATE KEY`. */
  readonly label: string;
  /** Header lines as they stand, without line ends. */
  readonly headers: readonly string[];
  /** Joined, not decoded. */
  readonly base64: string;
}

const BEGIN = /^-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,60})-----$/;

/** The first block whose label is `wanted`. @throws FormatError `bad-armor` */
export function findPemBlock(bytes: Uint8Array, wanted: (label: string) => boolean): PemBlock {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    const label = BEGIN.exec(line.trimEnd())?.[1];
    if (label === undefined || !wanted(label)) continue;
    return readBlock(label, lines, index + 1);
  }
  throw new FormatError('bad-armor', 'no block that begins with -----BEGIN … and is of the wanted kind');
}

function readBlock(label: string, lines: readonly string[], start: number): PemBlock {
  const end = lines.findIndex((line, index) => index >= start && line.trimEnd() === `-----END ${label}-----`);
  if (end < 0) throw new FormatError('bad-armor', 'the block has no matching -----END line');
  const body = lines.slice(start, end).map((line) => line.trimEnd());
  // RFC 1421: headers, then an empty line; base64 has neither colons nor empty lines.
  const headerEnd = body[0]?.includes(':') === true ? body.indexOf('') : -1;
  return { label, headers: body.slice(0, Math.max(headerEnd, 0)), base64: body.slice(headerEnd + 1).join('') };
}
