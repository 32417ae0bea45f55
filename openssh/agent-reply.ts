/**
 * Replies of an ssh-agent (RFC 9987 sections 4 and 5), both directions.
 * Refused on purpose: bytes after the last field, more identities than the message could hold.
 */
import { MAX_AGENT_MESSAGE_LENGTH, replyNumbers } from './agent-number.ts';
import { MAX_CERTIFICATE_LENGTH } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { MAX_SIGNATURE_LENGTH } from './signature.ts';
import { WireReader, WireWriter } from './wire.ts';

const MAX_COMMENT_LENGTH = 4 * 1024;
const MAX_EXTENSION_NAME_LENGTH = 128;

export interface ListedIdentity {
  /** Public key or certificate blob. */
  readonly blob: Uint8Array;
  readonly comment: Uint8Array;
}
export type AgentReply =
  | { readonly type: 'success' | 'failure' | 'extension-failure' }
  | { readonly type: 'identities'; readonly identities: readonly ListedIdentity[] }
  | { readonly type: 'signature'; readonly signature: Uint8Array }
  | { readonly type: 'extension'; readonly name: string; readonly contents: Uint8Array };

export function encodeStatus(type: 'success' | 'failure' | 'extension-failure'): Uint8Array {
  const number = type === 'extension-failure' ? replyNumbers.extensionFailure : replyNumbers[type];
  return Uint8Array.of(number);
}

/** As many identities as fit into one message, in order. */
export function encodeIdentities(identities: readonly ListedIdentity[]): Uint8Array {
  const fitting: ListedIdentity[] = [];
  let length = 5;
  for (const identity of identities) {
    length += 8 + identity.blob.length + identity.comment.length;
    if (length > MAX_AGENT_MESSAGE_LENGTH) break;
    fitting.push(identity);
  }
  const writer = new WireWriter(4096).byte(replyNumbers.identities).uint32(fitting.length);
  for (const { blob, comment } of fitting) writer.string(blob).string(comment);
  return writer.finish();
}

/** @param signature SSH encoding: algorithm and blob */
export function encodeSignatureReply(signature: Uint8Array): Uint8Array {
  return new WireWriter(signature.length + 5).byte(replyNumbers.signature).string(signature).finish();
}

/** The reply to `query` (RFC 9987 section 5.8.1): the extensions that the agent knows, without a success message after it. */
export function encodeQueryReply(names: readonly string[]): Uint8Array {
  const writer = new WireWriter(128).byte(replyNumbers.extensionResponse).string('query');
  for (const name of names) writer.string(name);
  return writer.finish();
}

/** @throws FormatError */
export function decodeAgentReply(message: Uint8Array): AgentReply {
  const reader = new WireReader(message);
  const reply = readReply(reader.byte(), reader);
  reader.end();
  return reply;
}

function readReply(number: number, reader: WireReader): AgentReply {
  switch (number) {
    case replyNumbers.success:
      return { type: 'success' };
    case replyNumbers.failure:
      return { type: 'failure' };
    case replyNumbers.extensionFailure:
      return { type: 'extension-failure' };
    case replyNumbers.identities:
      return { type: 'identities', identities: readIdentities(reader) };
    case replyNumbers.signature:
      return { type: 'signature', signature: reader.string(MAX_SIGNATURE_LENGTH) };
    case replyNumbers.extensionResponse:
      return { type: 'extension', name: reader.text(MAX_EXTENSION_NAME_LENGTH), contents: reader.rest() };
    default:
      throw new FormatError('bad-value', 'an unknown kind of agent reply');
  }
}

function readIdentities(reader: WireReader): ListedIdentity[] {
  const count = reader.uint32();
  if (count > reader.remaining / 8) throw new FormatError('too-large', 'more identities announced than are there');
  return Array.from({ length: count }, () => ({
    blob: reader.string(MAX_CERTIFICATE_LENGTH),
    comment: reader.string(MAX_COMMENT_LENGTH),
  }));
}
