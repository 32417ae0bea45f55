/**
 * SIGN SSH CERTIFICATE: reads the template, checks the timestamp's signature and the constraints, signs
 * (Yubico, "Sign Ssh Certificate" and "OpenSSH certificates").
 *
 * What the device does at the edges of the offsets is not public; see `offset-rule.ts`.
 */
import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import { Cursor, word } from '../cursor.ts';
import { isRsa, signPkcs1 } from '../key-material.ts';
import { Refusal, types } from '../numbers.ts';
import { type OffsetReading, withinOffsets } from '../offset-rule.ts';
import { lookUp, usable } from '../rules.ts';
import type { Handler } from './handler.ts';

const signatureNames = new Map([
  [1, { name: 'ssh-rsa', hash: 'sha1' }],
  [2, { name: 'rsa-sha2-256', hash: 'sha256' }],
  [4, { name: 'rsa-sha2-512', hash: 'sha512' }],
]);

interface Template {
  timestampModulus: Buffer;
  caKeyIds: number[];
  notBefore: number;
  notAfter: number;
  forbidden: Buffer[];
}

/** Makes the handler for one reading of the offsets. */
export function sshCommand(reading: OffsetReading): Handler {
  return (context, data) => {
    const keyId = data.uint16();
    const templateId = data.uint16();
    const algorithm = signatureNames.get(data.uint8());
    const timestamp = data.uint32();
    const signature = data.take(256);
    const request = Buffer.from(data.all());
    Object.assign(context.used, { target: keyId, second: templateId });
    const key = usable(context, keyId, types.asymmetricKey, 'signSshCertificate');
    const template = parseTemplate(lookUp(context, templateId, types.template).value);
    if (algorithm === undefined || !isRsa(key.algorithm)) throw new Refusal('invalidData');
    checkTimestamp(template, request, timestamp, signature);
    checkConstraints(template, keyId, timestamp, parseRequest(request), reading);
    const digest = createHash(algorithm.hash).update(request).digest();
    const blob = [Buffer.from(algorithm.name), signPkcs1(key.algorithm, key.value, digest)].map(sshString);
    return sshString(Buffer.concat(blob));
  };
}

function checkTimestamp(template: Template, request: Buffer, timestamp: number, signature: Buffer): void {
  const n = template.timestampModulus.toString('base64url');
  const key = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n, e: 'AQAB' } });
  const signed = Buffer.concat([createHash('sha256').update(request).digest(), word(timestamp)]);
  const good = verify('sha256', signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
  if (!good) throw new Refusal('sshConstraintViolation');
}

interface Request {
  principals: Buffer[];
  validAfter: bigint;
  validBefore: bigint;
}

function checkConstraints(
  template: Template,
  keyId: number,
  timestamp: number,
  request: Request,
  reading: OffsetReading,
): void {
  const { notBefore, notAfter } = template;
  const fits =
    template.caKeyIds.includes(keyId) &&
    withinOffsets({ ...request, timestamp, notBefore, notAfter }, reading) &&
    !request.principals.some((principal) => template.forbidden.some((each) => each.equals(principal)));
  if (!fits) throw new Refusal('sshConstraintViolation');
}

function parseTemplate(bytes: Buffer): Template {
  const fields = new Map<number, Buffer>();
  const cursor = new Cursor(bytes);
  while (cursor.remaining > 0) fields.set(cursor.uint8(), cursor.take(cursor.uint16()));
  const [kind, modulus, keys, notBefore, notAfter, names] = [1, 2, 3, 4, 5, 6].map((tag) => fields.get(tag));
  if (kind?.length !== 1 || modulus?.length !== 256 || !keys || notBefore?.length !== 4 || notAfter?.length !== 4) {
    throw new Refusal('invalidData');
  }
  return {
    timestampModulus: modulus,
    caKeyIds: Array.from({ length: keys.length >> 1 }, (_, index) => keys.readUInt16BE(index * 2)),
    notBefore: notBefore.readUInt32BE(),
    notAfter: notAfter.readUInt32BE(),
    forbidden: splitAtNul(names ?? Buffer.alloc(0)),
  };
}

function splitAtNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    parts.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return parts;
}

/** How many strings and numbers stand between the nonce and the serial, by kind of key. */
const publicFields = new Map([
  ['ssh-rsa-cert-v01@openssh.com', 2],
  ['ssh-ed25519-cert-v01@openssh.com', 1],
  ['ecdsa-sha2-nistp256-cert-v01@openssh.com', 2],
  ['ecdsa-sha2-nistp384-cert-v01@openssh.com', 2],
  ['ecdsa-sha2-nistp521-cert-v01@openssh.com', 2],
  ['sk-ssh-ed25519-cert-v01@openssh.com', 2],
  ['sk-ecdsa-sha2-nistp256-cert-v01@openssh.com', 3],
]);

/** Finds validity and principals in a to-be-signed certificate. */
function parseRequest(bytes: Buffer): Request {
  const cursor = new Cursor(bytes);
  const string = (): Buffer => cursor.take(cursor.uint32());
  const fields = publicFields.get(string().toString('latin1'));
  if (fields === undefined) throw new Refusal('invalidData');
  for (let skipped = 0; skipped < 1 + fields; skipped++) string();
  cursor.take(12);
  string();
  const list = new Cursor(string());
  const principals: Buffer[] = [];
  while (list.remaining > 0) principals.push(list.take(list.uint32()));
  return { principals, validAfter: cursor.uint64(), validBefore: cursor.uint64() };
}

function sshString(bytes: Buffer): Buffer {
  return Buffer.concat([word(bytes.length), bytes]);
}
