/**
 * Who may do what (Yubico, "Effective Capabilities"): to use a key, the session's authentication key and the object both
 * need the capability, and they need a domain in common; what is in foreign domains looks as if it were not there; what a
 * session makes can do no more than its delegated capabilities allow, in no other domains than its own.
 */
import type { DeviceMemory } from './device-memory.ts';
import { bit, type CapabilityName, Refusal, types } from './numbers.ts';
import type { Header, StoredObject } from './stored-object.ts';

/** What a command is done with. */
export interface Context {
  memory: DeviceMemory;
  /** The authentication key that opened the session. */
  by: StoredObject;
  /** The keys that the command turns out to use, for the log. */
  used: { target: number; second: number };
  firmware: readonly [number, number, number];
}

/** Refuses unless the session has the capability. */
export function demand({ by }: Context, name: CapabilityName): void {
  if (!(by.capabilities & bit(name))) throw new Refusal('insufficientPermissions');
}

/** The object with this id, when it is in one of the session's domains. */
export function lookUp({ memory, by }: Context, id: number, type: number): StoredObject {
  const object = memory.find(id, type);
  if (object === undefined || !(object.domains & by.domains)) throw new Refusal('objectNotFound');
  return object;
}

/** The key that a command is to use, with the capability on both sides. */
export function usable(context: Context, id: number, type: number, name: CapabilityName): StoredObject {
  const object = lookUp(context, id, type);
  demand(context, name);
  if (!(object.capabilities & bit(name))) throw new Refusal('insufficientPermissions');
  return object;
}

/** Stores a new object after all rules for new objects; returns the answer, its id. */
export function create(
  context: Context,
  header: Header,
  type: number,
  value: Buffer,
  more: { origin: number; delegated?: bigint },
): Buffer {
  const { memory, by } = context;
  const delegated = more.delegated ?? 0n;
  if (header.domains & ~by.domains) throw new Refusal('insufficientPermissions');
  if ((header.capabilities | delegated) & ~by.delegated) throw new Refusal('insufficientPermissions');
  const id = header.id === 0 ? freeId(memory, type) : header.id;
  if (memory.find(id, type)) throw new Refusal('objectExists');
  checkRoom(memory, value.length);
  memory.add({ ...header, id, type, value, delegated, origin: more.origin });
  context.used.target = id;
  const answer = Buffer.alloc(2);
  answer.writeUInt16BE(id);
  return answer;
}

/** Records 256, pages 1,024 of 126 bytes; a record costs a page and what its value needs. */
export function storage(memory: DeviceMemory): { freeRecords: number; freePages: number } {
  const pages = memory.objects.reduce((sum, { value }) => sum + pagesOf(value.length), 0);
  return { freeRecords: 256 - memory.objects.length, freePages: 1024 - pages };
}

export function checkRoom(memory: DeviceMemory, length: number): void {
  const { freeRecords, freePages } = storage(memory);
  if (freeRecords < 1 || freePages < pagesOf(length)) throw new Refusal('storageFailed');
}

function pagesOf(length: number): number {
  return 1 + Math.ceil(length / 126);
}

function freeId(memory: DeviceMemory, type: number): number {
  for (let id = 0x0100; id < 0xffff; id++) if (!memory.find(id, type)) return id;
  throw new Refusal('storageFailed');
}

/** The capability that deletes objects of a type. */
export function deleteCapability(type: number): CapabilityName {
  switch (type) {
    case types.opaque:
      return 'deleteOpaque';
    case types.authenticationKey:
      return 'deleteAuthenticationKey';
    case types.asymmetricKey:
      return 'deleteAsymmetricKey';
    case types.wrapKey:
      return 'deleteWrapKey';
    case types.hmacKey:
      return 'deleteHmacKey';
    case types.template:
      return 'deleteTemplate';
    default:
      throw new Refusal('invalidData');
  }
}
