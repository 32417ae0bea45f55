/** HMAC keys: put, generate, sign, verify. No CA needs them; the vendor's tests of the audit log do. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Cursor } from '../cursor.ts';
import { commandNumber, Refusal, types } from '../numbers.ts';
import { type Context, create, demand, usable } from '../rules.ts';
import { readHeader } from '../stored-object.ts';
import type { Handler } from './handler.ts';

const hashes = new Map([
  [19, { name: 'sha1', length: 20 }],
  [20, { name: 'sha256', length: 32 }],
  [21, { name: 'sha384', length: 48 }],
  [22, { name: 'sha512', length: 64 }],
]);

function hashOf(algorithm: number): { name: string; length: number } {
  const hash = hashes.get(algorithm);
  if (hash === undefined) throw new Refusal('invalidData');
  return hash;
}

const putHmacKey: Handler = (context, data) => {
  const header = readHeader(data);
  hashOf(header.algorithm);
  demand(context, 'putMacKey');
  return create(context, header, types.hmacKey, Buffer.from(data.all()), { origin: 2 });
};

const generateHmacKey: Handler = (context, data) => {
  const header = readHeader(data);
  data.done();
  demand(context, 'generateHmacKey');
  const value = randomBytes(hashOf(header.algorithm).length);
  return create(context, header, types.hmacKey, value, { origin: 1 });
};

function macOf(context: Context, data: Cursor, capability: 'signHmac' | 'verifyHmac'): { given: Buffer; mac: Buffer } {
  const id = data.uint16();
  context.used.target = id;
  const key = usable(context, id, types.hmacKey, capability);
  const { name, length } = hashOf(key.algorithm);
  const given = Buffer.from(capability === 'verifyHmac' ? data.take(length) : []);
  return { given, mac: createHmac(name, key.value).update(data.all()).digest() };
}

const signHmac: Handler = (context, data) => macOf(context, data, 'signHmac').mac;

const verifyHmac: Handler = (context, data) => {
  const { given, mac } = macOf(context, data, 'verifyHmac');
  return Buffer.of(timingSafeEqual(given, mac) ? 1 : 0);
};

export const hmacCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.putHmacKey, putHmacKey],
  [commandNumber.generateHmacKey, generateHmacKey],
  [commandNumber.signHmac, signHmac],
  [commandNumber.verifyHmac, verifyHmac],
];
