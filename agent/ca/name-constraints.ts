/**
 * Name constraints of a CA certificate (RFC 5280 section 4.2.1.10) against the names of a server certificate. Pure.
 * Understood: DNS names and IP addresses. Refused on purpose: constraints on directory names, minimum and maximum, names in the server's
 * certificate of any other kind that is constrained, and whatever is not DER.
 */
import ipaddr from 'ipaddr.js';

export interface ServerName {
  /** As @peculiar/x509 calls the kinds of GeneralName. */
  readonly type: string;
  readonly value: string;
}

interface Subtree {
  /** Number of the GeneralName's tag. */
  readonly kind: number;
  readonly base: Uint8Array;
}

const [SEQUENCE, PERMITTED, EXCLUDED] = [0x30, 0xa0, 0xa1];
const [DNS, DIRECTORY, IP] = [2, 4, 7];
const kinds: Readonly<Record<string, number>> = { email: 1, dns: DNS, url: 6, ip: IP, id: 8 };
const MAX_SUBTREES = 256;

/** Whether every name is allowed. @param extension the value of the extension, DER */
export function allowsNames(extension: Uint8Array, names: readonly ServerName[]): boolean {
  const constraints = parseConstraints(extension);
  if (constraints === undefined) return false;
  const { permitted, excluded } = constraints;
  if ([...permitted, ...excluded].some(({ kind }) => kind === DIRECTORY)) return false; // every certificate has a subject
  return names.every((name) => isPermitted(name, permitted) && !isExcluded(name, excluded));
}

/** A kind of names that nothing permits by name is not constrained. */
function isPermitted(name: ServerName, permitted: readonly Subtree[]): boolean {
  const same = permitted.filter(({ kind }) => kind === kinds[name.type]);
  return same.length === 0 ? name.type in kinds : same.some((subtree) => contains(subtree, name) === true);
}

function isExcluded(name: ServerName, excluded: readonly Subtree[]): boolean {
  return excluded.some((subtree) => subtree.kind === kinds[name.type] && contains(subtree, name) !== false);
}

/** Undefined for what is not understood. */
function contains({ kind, base }: Subtree, { value }: ServerName): boolean | undefined {
  if (kind === DNS) return containsDns(Buffer.from(base).toString('latin1'), value);
  return kind === IP ? containsAddress(base, value) : undefined;
}

function containsDns(base: string, name: string): boolean {
  const [suffix, whole] = [base.toLowerCase(), name.toLowerCase()];
  if (suffix === '' || whole === suffix) return true;
  return whole.endsWith(suffix.startsWith('.') ? suffix : `.${suffix}`);
}

/** @param base address and mask */
function containsAddress(base: Uint8Array, text: string): boolean | undefined {
  if (!ipaddr.isValid(text)) return undefined;
  const address = ipaddr.parse(text).toByteArray();
  if (base.length !== 8 && base.length !== 32) return undefined;
  if (base.length !== 2 * address.length) return false; // of the other family
  return address.every((byte, at) => {
    const mask = base[address.length + at] ?? 0;
    return (byte & mask) === ((base[at] ?? 0) & mask);
  });
}

interface Element {
  readonly tag: number;
  readonly value: Uint8Array;
}

function parseConstraints(
  der: Uint8Array,
): { readonly permitted: Subtree[]; readonly excluded: Subtree[] } | undefined {
  const [outer, ...more] = elements(der) ?? [];
  if (outer?.tag !== SEQUENCE || more.length > 0) return undefined;
  const lists = elements(outer.value);
  if (lists === undefined || lists.some(({ tag }) => tag !== PERMITTED && tag !== EXCLUDED)) return undefined;
  const [permitted, excluded] = [PERMITTED, EXCLUDED].map((wanted) =>
    lists.filter(({ tag }) => tag === wanted).flatMap(({ value }) => elements(value)?.map(subtreeOf) ?? [undefined]),
  );
  const all = [...(permitted ?? []), ...(excluded ?? [])];
  if (all.length === 0 || all.length > MAX_SUBTREES || all.includes(undefined)) return undefined;
  const known = (list: readonly (Subtree | undefined)[] = []) => list.filter((one) => one !== undefined);
  return { permitted: known(permitted), excluded: known(excluded) };
}

/** Undefined for one with a minimum or maximum, too. */
function subtreeOf({ tag, value }: Element): Subtree | undefined {
  const [base, ...more] = elements(value) ?? [];
  if (tag !== SEQUENCE || base === undefined || more.length > 0 || (base.tag & 0xc0) !== 0x80) return undefined;
  return { kind: base.tag & 0x1f, base: base.value };
}

/** The elements that follow one another in DER; undefined when it is none. */
function elements(der: Uint8Array): Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < der.length;) {
    const length = lengthAt(der, at + 1);
    if (length === undefined) return undefined;
    const end = length.from + length.count;
    if (end > der.length) return undefined;
    found.push({ tag: der[at] ?? 0, value: der.subarray(length.from, end) });
    at = end;
  }
  return found;
}

/** Definite, in the shortest form, up to 65,535. */
function lengthAt(der: Uint8Array, at: number): { readonly from: number; readonly count: number } | undefined {
  const [first, second, third] = der.subarray(at, at + 3);
  if (first === undefined) return undefined;
  if (first < 0x80) return { from: at + 1, count: first };
  if (first === 0x81 && second !== undefined && second >= 0x80) return { from: at + 2, count: second };
  if (first !== 0x82 || second === undefined || third === undefined || second === 0) return undefined;
  return { from: at + 3, count: second * 256 + third };
}
