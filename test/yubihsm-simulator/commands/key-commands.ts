/** Asymmetric keys: put, generate, public half, and the plain ways to sign; authentication keys: put and change. */
import type { Cursor } from '../cursor.ts';
import {
  generateMaterial,
  importMaterial,
  isAsymmetric,
  isEc,
  isRsa,
  publicHalf,
  signEcdsa,
  signEddsa,
  signPkcs1,
} from '../key-material.ts';
import { algorithm, type CapabilityName, commandNumber, Refusal, types } from '../numbers.ts';
import { type Context, create, demand, lookUp, usable } from '../rules.ts';
import { type Header, readCapabilities, readHeader, type StoredObject } from '../stored-object.ts';
import type { Handler } from './handler.ts';
import { short } from '../cursor.ts';

/** Firmware from 2.4 on keeps the seed of an Ed25519 key. */
function keepsSeed({ firmware }: Context): boolean {
  return firmware[0] > 2 || (firmware[0] === 2 && firmware[1] >= 4);
}

function readKeyHeader(data: Cursor): Header {
  const header = readHeader(data);
  if (!isAsymmetric(header.algorithm)) throw new Refusal('invalidData');
  return header;
}

const putAsymmetricKey: Handler = (context, data) => {
  const header = readKeyHeader(data);
  demand(context, 'putAsymmetricKey');
  const value = importMaterial(header.algorithm, Buffer.from(data.all()), keepsSeed(context));
  return create(context, header, types.asymmetricKey, value, { origin: 2 });
};

const generateAsymmetricKey: Handler = async (context, data) => {
  const header = readKeyHeader(data);
  data.done();
  demand(context, 'generateAsymmetricKey');
  const value = await generateMaterial(header.algorithm, keepsSeed(context));
  return create(context, header, types.asymmetricKey, value, { origin: 1 });
};

const getPublicKey: Handler = (context, data) => {
  const id = data.uint16();
  const type = data.remaining > 0 ? data.uint8() : types.asymmetricKey;
  data.done();
  context.used.target = id;
  if (type !== types.asymmetricKey) throw new Refusal('invalidData');
  const key = lookUp(context, id, type);
  return Buffer.concat([Buffer.of(key.algorithm), publicHalf(key.algorithm, key.value)]);
};

/** A key for a plain signature, and what is to be signed. */
function signing(
  context: Context,
  data: Cursor,
  capability: CapabilityName,
  fits: (algorithm: number) => boolean,
): { key: StoredObject; input: Buffer } {
  const id = data.uint16();
  context.used.target = id;
  const key = usable(context, id, types.asymmetricKey, capability);
  if (!fits(key.algorithm)) throw new Refusal('invalidData');
  return { key, input: Buffer.from(data.all()) };
}

const pkcs1: Handler = (context, data) => {
  const { key, input } = signing(context, data, 'signPkcs', isRsa);
  return signPkcs1(key.algorithm, key.value, input);
};

const ecdsa: Handler = (context, data) => {
  const { key, input } = signing(context, data, 'signEcdsa', isEc);
  if (![20, 28, 32, 48, 64, 66].includes(input.length)) throw new Refusal('wrongLength');
  return signEcdsa(key.algorithm, key.value, input);
};

const eddsa: Handler = (context, data) => {
  const { key, input } = signing(context, data, 'signEddsa', (number) => number === algorithm.ed25519);
  return signEddsa(key.value, input);
};

const putAuthenticationKey: Handler = (context, data) => {
  const header = readHeader(data);
  const delegated = readCapabilities(data);
  if (header.algorithm !== algorithm.authentication) throw new Refusal('invalidData');
  const value = Buffer.from(data.take(32));
  data.done();
  demand(context, 'putAuthenticationKey');
  return create(context, header, types.authenticationKey, value, { origin: 2, delegated });
};

const changeAuthenticationKey: Handler = (context, data) => {
  const id = data.uint16();
  if (data.uint8() !== algorithm.authentication) throw new Refusal('invalidData');
  const value = Buffer.from(data.take(32));
  data.done();
  demand(context, 'changeAuthenticationKey');
  if (id !== context.by.id) throw new Refusal('invalidId');
  context.used.target = id;
  const { sequence: _, ...rest } = context.by;
  context.memory.remove(context.by);
  context.memory.add({ ...rest, value, origin: 2 });
  return short(id);
};

export const keyCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.putAsymmetricKey, putAsymmetricKey],
  [commandNumber.generateAsymmetricKey, generateAsymmetricKey],
  [commandNumber.getPublicKey, getPublicKey],
  [commandNumber.signPkcs1, pkcs1],
  [commandNumber.signEcdsa, ecdsa],
  [commandNumber.signEddsa, eddsa],
  [commandNumber.putAuthenticationKey, putAuthenticationKey],
  [commandNumber.changeAuthenticationKey, changeAuthenticationKey],
];
