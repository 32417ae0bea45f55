/**
 * Requests to an ssh-agent (RFC 9987 sections 4 and 5), both directions. Byte fields are views of the message.
 * Refused on purpose: bytes after the last field, keys and constraints that their own files refuse. PKCS#11 and version-1
 * requests are recognised, not read: nothing in them is trusted (CVE-2016-10009, CVE-2023-38408).
 */
import { type KeyConstraints, encodeConstraints, readConstraints } from './agent-constraint.ts';
import { requestNumbers } from './agent-number.ts';
import { MAX_CERTIFICATE_LENGTH } from './certificate.ts';
import { type PrivateKeyFields, readPrivateKeyFields, writePrivateKeyFields } from './private-key-fields.ts';
import { WireReader, WireWriter } from './wire.ts';

const MAX_COMMENT_LENGTH = 4 * 1024;
const MAX_PASSPHRASE_LENGTH = 1024;
const MAX_EXTENSION_NAME_LENGTH = 128;

export interface SignRequest {
  readonly type: 'sign';
  readonly keyBlob: Uint8Array;
  readonly data: Uint8Array;
  readonly flags: number;
}
export interface AddRequest {
  readonly type: 'add';
  readonly fields: PrivateKeyFields;
  /** Any bytes: OpenSSH sends what stands in the file. */
  readonly comment: Uint8Array;
  readonly constraints: KeyConstraints;
}
export interface ExtensionRequest {
  readonly type: 'extension';
  readonly name: string;
  readonly contents: Uint8Array;
}
export type AgentRequest =
  | SignRequest
  | AddRequest
  | ExtensionRequest
  | { readonly type: 'list' | 'remove-all' | 'smartcard' | 'unknown' }
  | { readonly type: 'remove'; readonly keyBlob: Uint8Array }
  | { readonly type: 'lock' | 'unlock'; readonly passphrase: Uint8Array };

/** @param message one whole message, at least one byte @throws FormatError */
export function decodeAgentRequest(message: Uint8Array): AgentRequest {
  const reader = new WireReader(message);
  const request = readRequest(reader.byte(), reader);
  if (request.type !== 'smartcard' && request.type !== 'unknown') reader.end();
  return request;
}

function readRequest(number: number, reader: WireReader): AgentRequest {
  switch (number) {
    case requestNumbers.sign:
      return {
        type: 'sign',
        keyBlob: reader.string(MAX_CERTIFICATE_LENGTH),
        data: reader.string(),
        flags: reader.uint32(),
      };
    case requestNumbers.requestIdentities:
      return { type: 'list' };
    case requestNumbers.addIdentity:
    case requestNumbers.addConstrained:
      return {
        type: 'add',
        fields: readPrivateKeyFields(reader),
        comment: reader.string(MAX_COMMENT_LENGTH).slice(),
        constraints: readConstraints(reader),
      };
    case requestNumbers.removeIdentity:
      return { type: 'remove', keyBlob: reader.string(MAX_CERTIFICATE_LENGTH) };
    case requestNumbers.removeAll:
    case requestNumbers.removeAllV1:
      return { type: 'remove-all' };
    case requestNumbers.lock:
    case requestNumbers.unlock:
      return {
        type: number === requestNumbers.lock ? 'lock' : 'unlock',
        passphrase: reader.string(MAX_PASSPHRASE_LENGTH),
      };
    case requestNumbers.extension:
      return { type: 'extension', name: reader.text(MAX_EXTENSION_NAME_LENGTH), contents: reader.rest() };
    case requestNumbers.addSmartcard:
    case requestNumbers.addSmartcardConstrained:
    case requestNumbers.removeSmartcard:
      return { type: 'smartcard' };
    default:
      return { type: 'unknown' };
  }
}

export function encodeListRequest(): Uint8Array {
  return Uint8Array.of(requestNumbers.requestIdentities);
}

export function encodeSignRequest(request: Omit<SignRequest, 'type'>): Uint8Array {
  return new WireWriter(request.keyBlob.length + request.data.length + 13)
    .byte(requestNumbers.sign)
    .string(request.keyBlob)
    .string(request.data)
    .uint32(request.flags)
    .finish();
}

/** Uses the constrained form exactly when there is a constraint. */
export function encodeAddRequest(request: Omit<AddRequest, 'type'>): Uint8Array {
  const constraints = encodeConstraints(request.constraints);
  const writer = new WireWriter(1024).byte(
    constraints.length === 0 ? requestNumbers.addIdentity : requestNumbers.addConstrained,
  );
  writePrivateKeyFields(request.fields, writer);
  return writer.string(request.comment).raw(constraints).finish();
}

export function encodeRemoveRequest(keyBlob: Uint8Array): Uint8Array {
  return new WireWriter(keyBlob.length + 5).byte(requestNumbers.removeIdentity).string(keyBlob).finish();
}

export function encodeRemoveAllRequest(): Uint8Array {
  return Uint8Array.of(requestNumbers.removeAll);
}

export function encodeLockRequest(type: 'lock' | 'unlock', passphrase: Uint8Array): Uint8Array {
  return new WireWriter(passphrase.length + 5).byte(requestNumbers[type]).string(passphrase).finish();
}

export function encodeExtensionRequest(name: string, contents: Uint8Array): Uint8Array {
  return new WireWriter(contents.length + 64).byte(requestNumbers.extension).string(name).raw(contents).finish();
}
