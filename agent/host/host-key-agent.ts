/**
 * Signatures of a host key that an ssh-agent holds (`HostKeyAgent` in sshd_config): one request over its socket (RFC 9987).
 * What comes back is verified, so that a wrong agent is found here and not at the CA.
 */
import { type Socket, connect } from 'node:net';
import { AgentFrameReader, encodeAgentFrame } from '#openssh/agent-frame.ts';
import { signFlags } from '#openssh/agent-number.ts';
import { type AgentReply, decodeAgentReply } from '#openssh/agent-reply.ts';
import { encodeSignRequest } from '#openssh/agent-request.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type SignatureAlgorithm, keyTypes } from '#openssh/key-type.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { type Signature, decodeSignature, verifySignature } from '#openssh/signature.ts';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';

/** An agent may ask a device or a person. */
const TIMEOUT_MS = 30_000;

/** @throws HostError `key-unusable` */
export async function signWithAgent(
  socketPath: string,
  key: PublicKey,
  data: Uint8Array,
  algorithm: SignatureAlgorithm = keyTypes[key.type].signatureAlgorithms[0],
): Promise<Signature> {
  const flags =
    algorithm === 'rsa-sha2-512' ? signFlags.rsaSha512 : algorithm === 'rsa-sha2-256' ? signFlags.rsaSha256 : 0;
  const reply = await ask(socketPath, encodeSignRequest({ keyBlob: encodePublicKey(key), data, flags }));
  if (reply.type !== 'signature') throw unusable(socketPath, 'refuses to sign: it may not hold the key');
  const signature = decodeSignature(key.type, reply.signature);
  if (!verifySignature(key, data, signature)) throw unusable(socketPath, 'made a signature that is not valid');
  return signature;
}

async function ask(socketPath: string, request: Uint8Array): Promise<AgentReply> {
  const socket = connect(socketPath);
  try {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(unusable(socketPath, 'does not answer')));
    socket.write(encodeAgentFrame(request));
    return decodeAgentReply(await readMessage(socket, socketPath));
  } catch (error) {
    if (error instanceof FormatError) throw unusable(socketPath, 'does not speak the ssh-agent protocol', error);
    if (systemErrorCode(error) === undefined) throw error;
    throw unusable(socketPath, `cannot be asked: ${systemErrorReason(error)}`, error);
  } finally {
    socket.destroy();
  }
}

async function readMessage(socket: Socket, socketPath: string): Promise<Uint8Array> {
  const frames = new AgentFrameReader();
  for await (const chunk of socket as AsyncIterable<Uint8Array>) {
    frames.push(chunk);
    const message = frames.next();
    if (message !== undefined) return message;
  }
  throw unusable(socketPath, 'closed the connection without an answer');
}

function unusable(socketPath: string, what: string, cause?: unknown): HostError {
  return new HostError('key-unusable', `the HostKeyAgent of sshd (${socketPath}) ${what}`, {
    cause,
    advice: 'Check that the agent runs and holds the host key: SSH_AUTH_SOCK=SOCKET ssh-add -L',
  });
}
