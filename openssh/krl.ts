/**
 * Key revocation lists (OpenSSH PROTOCOL.krl): decode and encode. Canonical as ssh-keygen writes them: everything sorted, doubles
 * dropped, the certificate sections first.
 * Refused on purpose: signature sections (OpenSSH recommends SSHSIG instead, and we sign KRLs so), unknown critical extensions,
 * unknown section types, serial 0. Unknown extensions that are not critical are skipped, as the specification says.
 */
import { encodeBase64 } from './base64.ts';
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, keyTypeOfCertificateType } from './key-type.ts';
import { SERIAL_BITMAP, SERIAL_LIST, SERIAL_RANGE, readSerialSection, writeSerialSections } from './krl-serials.ts';
import { MAX_PUBLIC_KEY_LENGTH } from './public-key.ts';
import { MAX_SERIAL_RANGES, SerialSet, SerialSetBuilder } from './serial-set.ts';
import { WireReader, WireWriter, encodeText, equalBytes } from './wire.ts';

/** A million scattered serials are 8 MB. */
export const MAX_KRL_LENGTH = 64 * 1024 * 1024;
const MAX_COMMENT_LENGTH = 4 * 1024;
const MAX_KEY_ID_LENGTH = 16 * 1024;
const MAX_EXTENSION_NAME_LENGTH = 1024;
/** Key IDs, keys and fingerprints together: the bound on how many small objects a KRL makes us hold, some 50 MB. */
const MAX_ENTRIES = 256 * 1024;
const MAX_CAS = 1024;

const magic = new TextEncoder().encode('SSHKRL\n\0');
const FORMAT_VERSION = 1;
const CERTIFICATES = 1;
const EXPLICIT_KEY = 2;
const FINGERPRINT_SHA1 = 3;
const SIGNATURE = 4;
const FINGERPRINT_SHA256 = 5;
const EXTENSION = 255;
const KEY_ID = 0x23;
const CERTIFICATE_EXTENSION = 0x39;
const SHA1_LENGTH = 20;
const SHA256_LENGTH = 32;

export interface RevokedCertificates {
  /** Blob of the CA's public key; undefined: certificates of every CA. */
  readonly ca?: Uint8Array;
  readonly serials: SerialSet;
  readonly keyIds: readonly string[];
}

export interface KrlContents {
  /** `krl_version`: grows with each KRL. */
  readonly number: bigint;
  /** Epoch seconds. */
  readonly generatedDate: bigint;
  readonly comment?: string;
  readonly certificates?: readonly (Partial<RevokedCertificates> & Pick<RevokedCertificates, 'ca'>)[];
  /** Public key blobs, not certificates. */
  readonly keys?: readonly Uint8Array[];
  /** Raw SHA-1 hashes of public key blobs, 20 bytes. */
  readonly sha1Fingerprints?: readonly Uint8Array[];
  /** Raw SHA-256 hashes of public key blobs, 32 bytes. */
  readonly sha256Fingerprints?: readonly Uint8Array[];
}

declare const krlBrand: unique symbol;
/** Sorted by bytes, without doubles, one entry for each CA: `createKrl` and `decodeKrl` make these. */
export interface Krl extends Required<KrlContents> {
  readonly certificates: readonly RevokedCertificates[];
  readonly [krlBrand]: true;
}

/** @throws TypeError for contents that would not revoke anything: a certificate for a key, a hash of another length, two entries for a CA */
export function createKrl(contents: KrlContents): Krl {
  const certificates = (contents.certificates ?? []).map(({ ca, serials, keyIds }) => ({
    ...(ca === undefined ? {} : { ca }),
    serials: serials ?? SerialSet.of([]),
    keyIds: sortedTexts(keyIds ?? []),
  }));
  const cas = new Set(certificates.map(({ ca }) => encodeBase64(ca ?? new Uint8Array())));
  if (cas.size < certificates.length) throw new TypeError('two entries for one CA, or for any CA');
  const { keys = [], sha1Fingerprints = [], sha256Fingerprints = [] } = contents;
  if (keys.some(isCertificateBlob)) throw new TypeError('a certificate where a KRL wants a plain key');
  if (sha1Fingerprints.some(({ length }) => length !== SHA1_LENGTH)) throw new TypeError('not a SHA-1 hash');
  if (sha256Fingerprints.some(({ length }) => length !== SHA256_LENGTH)) throw new TypeError('not a SHA-256 hash');
  return normalized({ comment: '', ...contents, certificates, keys, sha1Fingerprints, sha256Fingerprints });
}

function normalized(contents: Omit<Krl, typeof krlBrand>): Krl {
  return {
    ...contents,
    keys: sortedBlobs(contents.keys),
    sha1Fingerprints: sortedBlobs(contents.sha1Fingerprints),
    sha256Fingerprints: sortedBlobs(contents.sha256Fingerprints),
  } as Omit<Krl, typeof krlBrand> as Krl;
}

export function encodeKrl(krl: Krl): Uint8Array {
  const writer = new WireWriter(4096).raw(magic).uint32(FORMAT_VERSION);
  writer.uint64(krl.number).uint64(krl.generatedDate).uint64(0n).string('').string(krl.comment);
  for (const revoked of krl.certificates) {
    if (revoked.serials.rangeCount > 0 || revoked.keyIds.length > 0)
      writer.byte(CERTIFICATES).string(encodeCertificates(revoked));
  }
  writeBlobs(EXPLICIT_KEY, krl.keys, writer);
  writeBlobs(FINGERPRINT_SHA1, krl.sha1Fingerprints, writer);
  writeBlobs(FINGERPRINT_SHA256, krl.sha256Fingerprints, writer);
  return writer.finish();
}

function encodeCertificates({ ca, serials, keyIds }: RevokedCertificates): Uint8Array {
  const writer = new WireWriter().string(ca ?? new Uint8Array()).string('');
  writeSerialSections(serials, writer);
  writeBlobs(
    KEY_ID,
    keyIds.map((keyId) => encodeText(keyId)),
    writer,
  );
  return writer.finish();
}

/** One section of strings; none when there are no strings, since an empty section is not allowed. */
function writeBlobs(type: number, blobs: readonly Uint8Array[], writer: WireWriter): void {
  if (blobs.length === 0) return;
  const section = new WireWriter();
  for (const blob of blobs) section.string(blob);
  writer.byte(type).string(section.finish());
}

/** @throws FormatError; `unsupported-feature` for signatures and unknown critical extensions */
export function decodeKrl(bytes: Uint8Array): Krl {
  if (bytes.length > MAX_KRL_LENGTH) throw new FormatError('too-large', 'the KRL is longer than 64 MiB');
  const reader = new WireReader(bytes);
  if (!equalBytes(reader.raw(magic.length), magic)) throw new FormatError('bad-value', 'not a KRL');
  if (reader.uint32() !== FORMAT_VERSION) throw new FormatError('bad-value', 'a KRL version other than 1');
  const [number, generatedDate] = [reader.uint64(), reader.uint64()];
  reader.uint64(); // flags: none is defined, and OpenSSH ignores them
  reader.string(MAX_KRL_LENGTH); // reserved: "contents are currently ignored"
  const comment = reader.text(MAX_COMMENT_LENGTH);
  const collected = new KrlCollector();
  while (reader.remaining > 0) readSection(reader.byte(), reader, collected);
  return normalized({ number, generatedDate, comment, ...collected.finish() });
}

interface Collected extends Pick<RevokedCertificates, 'ca'> {
  readonly serials: SerialSetBuilder;
  readonly keyIds: string[];
}

class KrlCollector {
  readonly keys: Uint8Array[] = [];
  readonly sha1Fingerprints: Uint8Array[] = [];
  readonly sha256Fingerprints: Uint8Array[] = [];
  readonly #byCa = new Map<string, Collected>();
  readonly #rangeBudget = { remaining: MAX_SERIAL_RANGES };
  #entriesLeft = MAX_ENTRIES;

  /** To be called before each small object that is kept. @throws FormatError `too-large` */
  countEntry(): void {
    if (this.#entriesLeft-- === 0) throw new FormatError('too-large', `the KRL has more than ${MAX_ENTRIES} entries`);
  }

  /** Sections for the same CA are one, wherever they stand. */
  certificatesOf(ca: Uint8Array): Collected {
    const name = encodeBase64(ca);
    const known = this.#byCa.get(name);
    if (known !== undefined) return known;
    if (this.#byCa.size === MAX_CAS) throw new FormatError('too-large', `the KRL names more than ${MAX_CAS} CAs`);
    const serials = new SerialSetBuilder(this.#rangeBudget);
    const created = { ...(ca.length === 0 ? {} : { ca }), serials, keyIds: [] };
    this.#byCa.set(name, created);
    return created;
  }

  finish(): Pick<Krl, 'certificates' | 'keys' | 'sha1Fingerprints' | 'sha256Fingerprints'> {
    const certificates = [...this.#byCa.values()].map(({ serials, keyIds, ...scope }) => ({
      ...scope,
      serials: serials.finish(),
      keyIds: sortedTexts(keyIds),
    }));
    const { keys, sha1Fingerprints, sha256Fingerprints } = this;
    return { certificates, keys, sha1Fingerprints, sha256Fingerprints };
  }
}

function readSection(type: number, reader: WireReader, into: KrlCollector): void {
  const section = reader.nested(MAX_KRL_LENGTH);
  switch (type) {
    case CERTIFICATES:
      return readCertificates(section, into);
    case EXPLICIT_KEY:
      while (section.remaining > 0) keep(section.string(MAX_PUBLIC_KEY_LENGTH), into.keys, into);
      return;
    case FINGERPRINT_SHA1:
      while (section.remaining > 0) keep(section.fixed(SHA1_LENGTH), into.sha1Fingerprints, into);
      return;
    case FINGERPRINT_SHA256:
      while (section.remaining > 0) keep(section.fixed(SHA256_LENGTH), into.sha256Fingerprints, into);
      return;
    case EXTENSION:
      return readExtension(section);
    case SIGNATURE:
      throw new FormatError('unsupported-feature', 'the KRL holds a signature section; sign KRLs with SSHSIG instead');
    default:
      throw new FormatError('unsupported-feature', 'the KRL holds a section of an unknown type');
  }
}

function readCertificates(reader: WireReader, into: KrlCollector): void {
  const { serials, keyIds } = into.certificatesOf(reader.string(MAX_PUBLIC_KEY_LENGTH));
  reader.string(MAX_KRL_LENGTH); // reserved: "contents are currently ignored"
  while (reader.remaining > 0) {
    const type = reader.byte();
    const section = reader.nested(MAX_KRL_LENGTH);
    if (type === SERIAL_LIST || type === SERIAL_RANGE || type === SERIAL_BITMAP)
      readSerialSection(type, section, serials);
    else if (type === CERTIFICATE_EXTENSION) readExtension(section);
    else if (type === KEY_ID) while (section.remaining > 0) keep(section.text(MAX_KEY_ID_LENGTH), keyIds, into);
    else throw new FormatError('unsupported-feature', 'the KRL holds a certificate section of an unknown type');
  }
}

function keep<Entry>(entry: Entry, list: Entry[], counter: KrlCollector): void {
  counter.countEntry();
  list.push(entry);
}

function readExtension(reader: WireReader): void {
  reader.text(MAX_EXTENSION_NAME_LENGTH);
  const isCritical = reader.byte() !== 0;
  reader.string(MAX_KRL_LENGTH);
  reader.end();
  if (isCritical)
    throw new FormatError('unsupported-feature', 'the KRL holds a critical extension that is not understood');
}

function isCertificateBlob(blob: Uint8Array): boolean {
  try {
    return keyTypeOfCertificateType(new WireReader(blob).text(MAX_ALGORITHM_NAME_LENGTH)) !== undefined;
  } catch (cause) {
    throw new TypeError('a revoked key is not a key', { cause });
  }
}

/** By bytes, a prefix before what it is a prefix of; doubles dropped. */
function sortedBlobs(blobs: readonly Uint8Array[]): Uint8Array[] {
  const sorted = blobs.toSorted((a, b) => Buffer.compare(a, b));
  return sorted.filter((blob, index) => index === 0 || !equalBytes(blob, sorted[index - 1] ?? blob));
}

/** By the bytes of their UTF-8, doubles dropped. */
function sortedTexts(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
