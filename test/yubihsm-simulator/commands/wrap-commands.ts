/** Wrap keys: put, generate, EXPORT WRAPPED and IMPORT WRAPPED in the device's own layout (AES-CCM). */
import { type CipherCCMTypes, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Cursor, long, short } from '../cursor.ts';
import { isAsymmetric, isMaterialLength } from '../key-material.ts';
import { algorithm, bit, commandNumber, Refusal, types } from '../numbers.ts';
import { checkRoom, create, demand, lookUp, usable } from '../rules.ts';
import { hasDelegated, readCapabilities, readHeader, type StoredObject, storedLength } from '../stored-object.ts';
import type { Handler } from './handler.ts';

const keyLengths = new Map<number, number>([
  [algorithm.aes128Wrap, 16],
  [algorithm.aes192Wrap, 24],
  [algorithm.aes256Wrap, 32],
]);
const nonceLength = 13;
const tagLength = 16;
const underWrap = 0x10;

const putWrapKey: Handler = (context, data) => {
  const header = readHeader(data);
  const delegated = readCapabilities(data);
  const value = Buffer.from(data.all());
  if (keyLengths.get(header.algorithm) !== value.length) throw new Refusal('wrongLength');
  demand(context, 'putWrapKey');
  return create(context, header, types.wrapKey, value, { origin: 2, delegated });
};

const generateWrapKey: Handler = (context, data) => {
  const header = readHeader(data);
  const delegated = readCapabilities(data);
  data.done();
  const length = keyLengths.get(header.algorithm);
  if (length === undefined) throw new Refusal('invalidData');
  demand(context, 'generateWrapKey');
  return create(context, header, types.wrapKey, randomBytes(length), { origin: 1, delegated });
};

const exportWrapped: Handler = (context, data) => {
  const wrapId = data.uint16();
  const type = data.uint8();
  const id = data.uint16();
  const keepSeed = data.remaining > 0 && data.uint8() === 1;
  data.done();
  Object.assign(context.used, { target: wrapId, second: id });
  const wrapKey = usable(context, wrapId, types.wrapKey, 'exportWrapped');
  const object = lookUp(context, id, type);
  if (!(object.capabilities & bit('exportableUnderWrap'))) throw new Refusal('insufficientPermissions');
  if (object.capabilities & ~wrapKey.delegated) throw new Refusal('insufficientPermissions');
  const withoutSeed = object.algorithm === algorithm.ed25519 && !keepSeed;
  return seal(wrapKey, withoutSeed ? { ...object, value: object.value.subarray(0, 96) } : object);
};

const importWrapped: Handler = (context, data) => {
  const wrapId = data.uint16();
  const blob = Buffer.from(data.all());
  context.used.target = wrapId;
  const wrapKey = usable(context, wrapId, types.wrapKey, 'importWrapped');
  const object = unseal(wrapKey, blob);
  if (object.capabilities & ~wrapKey.delegated) throw new Refusal('insufficientPermissions');
  if (object.domains & ~context.by.domains) throw new Refusal('insufficientPermissions');
  if (context.memory.find(object.id, object.type)) throw new Refusal('objectExists');
  checkRoom(context.memory, object.value.length);
  context.used.second = object.id;
  context.memory.add({ ...object, origin: object.origin | underWrap });
  return Buffer.concat([Buffer.of(object.type), short(object.id)]);
};

function cipherName(wrapKey: StoredObject): CipherCCMTypes {
  return `aes-${wrapKey.value.length * 8}-ccm` as CipherCCMTypes;
}

function seal(wrapKey: StoredObject, object: StoredObject): Buffer {
  const plain = Buffer.concat([
    Buffer.of(wrapKey.algorithm),
    long(object.capabilities),
    short(object.id),
    short(storedLength(object)),
    short(object.domains),
    Buffer.of(object.type, object.algorithm, object.sequence, object.origin),
    object.label,
    hasDelegated(object.type) ? long(object.delegated) : Buffer.alloc(0),
    object.value,
  ]);
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv(cipherName(wrapKey), wrapKey.value, nonce, { authTagLength: tagLength });
  const encrypted = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, encrypted, cipher.getAuthTag()]);
}

function unseal(wrapKey: StoredObject, blob: Buffer): Omit<StoredObject, 'sequence'> {
  if (blob.length < nonceLength + 59 + tagLength) throw new Refusal('wrongLength');
  const cursor = new Cursor(open(wrapKey, blob));
  cursor.uint8();
  const capabilities = readCapabilities(cursor);
  const id = cursor.uint16();
  cursor.uint16();
  const domains = cursor.uint16();
  const [type, number, , origin] = cursor.take(4) as unknown as [number, number, number, number];
  const label = Buffer.from(cursor.take(40));
  const delegated = hasDelegated(type) ? readCapabilities(cursor) : 0n;
  const value = Buffer.from(cursor.all());
  if (type === types.asymmetricKey && !(isAsymmetric(number) && isMaterialLength(number, value.length))) {
    throw new Refusal('invalidData');
  }
  return { id, type, algorithm: number, label, domains, capabilities, delegated, origin, value };
}

function open(wrapKey: StoredObject, blob: Buffer): Buffer {
  const nonce = blob.subarray(0, nonceLength);
  const decipher = createDecipheriv(cipherName(wrapKey), wrapKey.value, nonce, { authTagLength: tagLength });
  decipher.setAuthTag(blob.subarray(-tagLength));
  try {
    const plain = decipher.update(blob.subarray(nonceLength, -tagLength));
    decipher.final();
    return plain;
  } catch {
    throw new Refusal('invalidData');
  }
}

export const wrapCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.putWrapKey, putWrapKey],
  [commandNumber.generateWrapKey, generateWrapKey],
  [commandNumber.exportWrapped, exportWrapped],
  [commandNumber.importWrapped, importWrapped],
];
