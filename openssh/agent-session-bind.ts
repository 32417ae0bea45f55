/**
 * `session-bind@openssh.com` (OpenSSH PROTOCOL.agent section 1): an ssh client tells the agent, with the proof of the key
 * exchange, which host and session the agent connection serves.
 * Refused on purpose: session identifiers over 128 bytes; host certificates whose CA signature is not valid.
 */
import {
  MAX_CERTIFICATE_LENGTH,
  type Certificate,
  decodeCertificate,
  verifyCertificateSignature,
} from './certificate.ts';
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, isKeyType } from './key-type.ts';
import { type PublicKey, decodePublicKey } from './public-key.ts';
import { MAX_SIGNATURE_LENGTH, decodeSignature, verifySignature } from './signature.ts';
import { WireReader, WireWriter } from './wire.ts';

export const MAX_SESSION_ID_LENGTH = 128;

export interface SessionBind {
  readonly hostKeyBlob: Uint8Array;
  readonly sessionId: Uint8Array;
  /** SSH encoding: algorithm and blob. */
  readonly signature: Uint8Array;
  /** True: the connection is being forwarded to that host; false: it serves user authentication there. */
  readonly isForwarding: boolean;
}

/** A host key as it was shown: plain, or inside a certificate. */
export interface HostKey {
  readonly blob: Uint8Array;
  readonly key: PublicKey;
  readonly certificate?: Certificate;
}

/** @param contents what follows the extension name @throws FormatError */
export function decodeSessionBind(contents: Uint8Array): SessionBind {
  const reader = new WireReader(contents);
  const bind = {
    hostKeyBlob: reader.string(MAX_CERTIFICATE_LENGTH),
    sessionId: reader.string(MAX_SESSION_ID_LENGTH),
    signature: reader.string(MAX_SIGNATURE_LENGTH),
    isForwarding: reader.byte() !== 0,
  };
  reader.end();
  return bind;
}

export function encodeSessionBind(bind: SessionBind): Uint8Array {
  return new WireWriter()
    .string(bind.hostKeyBlob)
    .string(bind.sessionId)
    .string(bind.signature)
    .byte(bind.isForwarding ? 1 : 0)
    .finish();
}

/**
 * The host key, if it really signed this session identifier; undefined if not.
 * @throws FormatError when key, certificate or signature are malformed or of an unsupported kind
 */
export function verifySessionBind(bind: SessionBind): HostKey | undefined {
  const hostKey = decodeHostKey(bind.hostKeyBlob);
  if (bind.sessionId.length === 0) return undefined;
  if (hostKey.certificate !== undefined && !verifyCertificateSignature(hostKey.certificate)) return undefined;
  const signature = decodeSignature(hostKey.key.type, bind.signature);
  return verifySignature(hostKey.key, bind.sessionId, signature) ? hostKey : undefined;
}

/** @throws FormatError */
export function decodeHostKey(blob: Uint8Array): HostKey {
  const own = blob.slice(); // outlives the message it came in
  const name = new WireReader(own).text(MAX_ALGORITHM_NAME_LENGTH);
  if (isKeyType(name)) return { blob: own, key: decodePublicKey(own) };
  const certificate = decodeCertificate(own);
  if (certificate.type !== 'host') throw new FormatError('bad-value', 'a host shows a user certificate');
  return { blob: own, key: certificate.key, certificate };
}
