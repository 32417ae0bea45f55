/** LIST OBJECTS, GET OBJECT INFO, DELETE OBJECT, opaque objects, GET STORAGE INFO, GET PSEUDO RANDOM, ECHO, BLINK. */
import { randomBytes } from 'node:crypto';
import type { Cursor } from '../cursor.ts';
import { short } from '../cursor.ts';
import { commandNumber, Refusal, types } from '../numbers.ts';
import { create, deleteCapability, demand, lookUp, storage } from '../rules.ts';
import { describe, readHeader, type StoredObject } from '../stored-object.ts';
import { withBuiltInCertificate } from './attestation-command.ts';
import { type Handler, nothing } from './handler.ts';

type Filter = (object: StoredObject) => boolean;

/** Filters follow each other as tag and value, without lengths. */
function readFilter(cursor: Cursor): Filter {
  switch (cursor.uint8()) {
    case 1: {
      const id = cursor.uint16();
      return (object) => object.id === id;
    }
    case 2: {
      const type = cursor.uint8();
      return (object) => object.type === type;
    }
    case 3: {
      const domains = cursor.uint16();
      return (object) => (object.domains & domains) !== 0;
    }
    case 4: {
      const capabilities = cursor.uint64();
      return (object) => (object.capabilities & capabilities) === capabilities;
    }
    case 5: {
      const algorithm = cursor.uint8();
      return (object) => object.algorithm === algorithm;
    }
    case 6: {
      const label = Buffer.from(cursor.take(40));
      return (object) => object.label.equals(label);
    }
    default:
      throw new Refusal('invalidData');
  }
}

const listObjects: Handler = ({ memory, by }, data) => {
  const filters: Filter[] = [(object) => (object.domains & by.domains) !== 0];
  while (data.remaining > 0) filters.push(readFilter(data));
  const found = memory.objects.filter((object) => filters.every((filter) => filter(object)));
  return Buffer.concat(found.map(({ id, type, sequence }) => Buffer.concat([short(id), Buffer.of(type, sequence)])));
};

const getObjectInfo: Handler = (context, data) => {
  const id = data.uint16();
  const type = data.uint8();
  data.done();
  context.used.target = id;
  return describe(lookUp(context, id, type));
};

const deleteObject: Handler = (context, data) => {
  const id = data.uint16();
  const type = data.uint8();
  data.done();
  context.used.target = id;
  const object = lookUp(context, id, type);
  demand(context, deleteCapability(type));
  context.memory.remove(object);
  return nothing;
};

const putOpaque: Handler = (context, data) => {
  const header = readHeader(data);
  demand(context, 'putOpaque');
  return create(context, header, types.opaque, Buffer.from(data.all()), { origin: 2 });
};

const getOpaque: Handler = (context, data) => {
  const id = data.uint16();
  data.done();
  demand(context, 'getOpaque');
  return lookUp(context, id, types.opaque).value;
};

const storageInfo: Handler = ({ memory }) => {
  const { freeRecords, freePages } = storage(memory);
  return Buffer.concat([256, freeRecords, 1024, freePages, 126].map(short));
};

const getPseudoRandom: Handler = (context, data) => {
  demand(context, 'getPseudoRandom');
  const length = data.uint16();
  data.done();
  if (length > 2021) throw new Refusal('invalidData');
  return randomBytes(length);
};

const getTemplate: Handler = (context, data) => {
  const id = data.uint16();
  data.done();
  context.used.target = id;
  const template = lookUp(context, id, types.template);
  demand(context, 'getTemplate');
  return template.value;
};

const putTemplate: Handler = (context, data) => {
  const header = readHeader(data);
  demand(context, 'putTemplate');
  if (header.algorithm !== 36) throw new Refusal('invalidData');
  return create(context, header, types.template, Buffer.from(data.all()), { origin: 2 });
};

export const objectCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.echo, (_, data) => data.all()],
  [commandNumber.blink, () => nothing],
  [commandNumber.listObjects, listObjects],
  [commandNumber.getObjectInfo, getObjectInfo],
  [commandNumber.deleteObject, deleteObject],
  [commandNumber.putOpaque, putOpaque],
  [commandNumber.getOpaque, withBuiltInCertificate(getOpaque)],
  [commandNumber.storageInfo, storageInfo],
  [commandNumber.getPseudoRandom, getPseudoRandom],
  [commandNumber.getTemplate, getTemplate],
  [commandNumber.putTemplate, putTemplate],
];
