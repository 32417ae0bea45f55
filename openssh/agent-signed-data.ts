/**
 * What an agent is asked to sign, recognised: a user authentication request (RFC 4252 section 7, and OpenSSH's
 * `publickey-hostbound-v00@openssh.com`) or an SSHSIG (PROTOCOL.sshsig). Anything else stays unrecognised.
 */
import { MAX_CERTIFICATE_LENGTH } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH } from './key-type.ts';
import { WireReader } from './wire.ts';

const USERAUTH_REQUEST = 50;
const MAX_TEXT_LENGTH = 1024;
const sshsigMagic = [...new TextEncoder().encode('SSHSIG')];

export interface UserauthRequest {
  readonly kind: 'userauth';
  readonly sessionId: Uint8Array;
  readonly user: string;
  readonly algorithm: string;
  readonly keyBlob: Uint8Array;
  /** Only with the host-bound method. */
  readonly hostKeyBlob?: Uint8Array;
}
export interface SshsigRequest {
  readonly kind: 'sshsig';
  readonly namespace: string;
}

/** Strict: a request that is not exactly of one of the two forms is undefined. */
export function recogniseSignedData(data: Uint8Array): UserauthRequest | SshsigRequest | undefined {
  try {
    return sshsigMagic.every((byte, index) => data[index] === byte) ? readSshsig(data) : readUserauth(data);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function readSshsig(data: Uint8Array): SshsigRequest {
  const reader = new WireReader(data.subarray(sshsigMagic.length));
  const namespace = reader.text(MAX_TEXT_LENGTH);
  reader.string(MAX_TEXT_LENGTH); // reserved
  reader.text(MAX_ALGORITHM_NAME_LENGTH);
  reader.string(MAX_TEXT_LENGTH); // hash of the message
  reader.end();
  return { kind: 'sshsig', namespace };
}

function readUserauth(data: Uint8Array): UserauthRequest {
  const reader = new WireReader(data);
  const sessionId = reader.string(MAX_TEXT_LENGTH);
  const number = reader.byte();
  const user = reader.text(MAX_TEXT_LENGTH);
  const service = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const method = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const signatureFollows = reader.byte();
  const algorithm = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const keyBlob = reader.string(MAX_CERTIFICATE_LENGTH);
  const isHostBound = method === 'publickey-hostbound-v00@openssh.com';
  const hostKeyBlob = isHostBound ? reader.string(MAX_CERTIFICATE_LENGTH) : undefined;
  reader.end();
  const isExpected =
    sessionId.length > 0 &&
    number === USERAUTH_REQUEST &&
    service === 'ssh-connection' &&
    signatureFollows === 1 &&
    (isHostBound || method === 'publickey');
  if (!isExpected) throw new FormatError('bad-value', 'not a public key authentication request');
  const request = { kind: 'userauth', sessionId, user, algorithm, keyBlob } as const;
  return hostKeyBlob === undefined ? request : { ...request, hostKeyBlob };
}
