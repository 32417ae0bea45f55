/**
 * JSON in one spelling, so that equal details have equal bytes and one hash: RFC 8785 (JSON Canonicalization Scheme)
 * for the values that audit details hold. JavaScript's own number formatting and UTF-16 key order are those of the RFC.
 * Refused on purpose, as the caller's mistake (TypeError): undefined, bigint (write uint64 as text), NaN and infinities,
 * lone surrogates, NUL (no database keeps it), objects with a prototype of their own, and nesting without end.
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

const MAX_DEPTH = 8;

/** @throws TypeError for a value that JSON or a database would not give back as it was */
export function canonicalJson(value: Json): string {
  return encode(value, 0);
}

function encode(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError(`JSON nested deeper than ${MAX_DEPTH} levels`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return encodeString(value);
  if (typeof value === 'number') return encodeNumber(value);
  if (Array.isArray(value)) return `[${value.map((item) => encode(item, depth + 1)).join(',')}]`;
  if (typeof value === 'object') return encodeObject(value, depth);
  throw new TypeError(`JSON cannot hold a ${typeof value}`);
}

function encodeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('JSON holds plain objects only');
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${encodeString(name)}:${encode(item, depth + 1)}`).join(',')}}`;
}

function encodeString(value: string): string {
  if (!value.isWellFormed()) throw new TypeError('JSON text with a lone surrogate');
  if (value.includes('\0')) throw new TypeError('JSON text with a NUL');
  return JSON.stringify(value);
}

function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`JSON cannot hold ${value}`);
  return JSON.stringify(value);
}
