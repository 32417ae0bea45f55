/**
 * Just enough DER (X.690) to look into a private key before OpenSSL does: tag, definite length, content.
 * Refused on purpose: indefinite and non-minimal lengths, tags of more than one byte.
 */
import { FormatError } from './format-error.ts';

export const DER_INTEGER = 0x02;
export const DER_OCTET_STRING = 0x04;
export const DER_OID = 0x06;
export const DER_SEQUENCE = 0x30;

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** The elements that `bytes` holds one after the other, as views. @throws FormatError */
export function readDer(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const { element, next } = readElement(bytes, offset);
    elements.push(element);
    offset = next;
  }
  return elements;
}

/** The elements inside `element`. @throws FormatError `bad-value` unless it is there and has `tag` */
export function readDerInside(element: DerElement | undefined, tag: number = DER_SEQUENCE): DerElement[] {
  return readDer(contentOf(element, tag));
}

/** @throws FormatError `bad-value` unless the element is there and has `tag` */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw new FormatError('bad-value', 'the DER has another structure than its kind demands');
  return element.content;
}

/** An INTEGER in [0, 2^32). @throws FormatError `too-large`, `bad-value` */
export function smallInteger(element: DerElement | undefined): number {
  const content = contentOf(element, DER_INTEGER);
  if (content.length === 0 || (content[0] ?? 0) >= 0x80)
    throw new FormatError('bad-value', 'a DER integer is negative');
  if (content.length > 5 || (content.length === 5 && content[0] !== 0))
    throw new FormatError('too-large', 'a DER integer is larger than it may be here');
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

function readElement(bytes: Uint8Array, offset: number): { element: DerElement; next: number } {
  const [tag, first] = [bytes[offset], bytes[offset + 1]];
  if (tag === undefined || first === undefined) throw truncated();
  if ((tag & 0x1f) === 0x1f) throw new FormatError('bad-value', 'a DER tag has more than one byte');
  let [start, length] = [offset + 2, first];
  if (first >= 0x80) {
    const count = first - 0x80;
    if (count === 0 || count > 4) throw new FormatError('bad-value', 'a DER length is indefinite or too long');
    if (start + count > bytes.length) throw truncated();
    length = bytes.subarray(start, start + count).reduce((value, byte) => value * 256 + byte, 0);
    start += count;
    if (length < 0x80 || length < 2 ** (8 * (count - 1)))
      throw new FormatError('bad-value', 'a DER length is not minimal');
  }
  const next = start + length;
  if (next > bytes.length) throw truncated();
  return { element: { tag, content: bytes.subarray(start, next) }, next };
}

function truncated(): FormatError {
  return new FormatError('truncated', 'the DER ends inside an element');
}
