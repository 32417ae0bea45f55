/**
 * Connects to an SSH server and finds out which host key, or host certificate, it proves by a completed key exchange. Does I/O.
 * Used on this machine's own sshd: before an enrolment for the keys, after an install for the certificate.
 */
import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';
import { FormatError } from '#openssh/format-error.ts';
import { version } from '#protocol/version.ts';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';
import {
  type ServedHostKey,
  encodeDisconnect,
  encodeExchange,
  encodeKexInit,
  messageNumbers,
  negotiate,
  verifyExchangeReply,
} from './key-exchange.ts';
import { HandshakeReader, encodePacket } from './ssh-packet.ts';
import type { Endpoint } from './sshd-settings.ts';

const TIMEOUT_MS = 10_000;
const identification = `SSH-2.0-Countersign_${version}`;

/**
 * @param algorithms host key algorithms to accept
 * @returns undefined when the server has no key for any of them
 * @throws HostError `sshd-not-answering`
 */
export async function probeHostKey(
  endpoint: Endpoint,
  algorithms: readonly string[],
): Promise<ServedHostKey | undefined> {
  const socket = connect({ host: endpoint.address, port: endpoint.port });
  const deadline = setTimeout(() => socket.destroy(notAnswering(endpoint, 'does not answer in time')), TIMEOUT_MS);
  try {
    return await exchange(new Connection(socket), algorithms);
  } catch (error) {
    if (error instanceof FormatError)
      throw notAnswering(endpoint, `does not speak SSH as it should: ${error.message}`, error);
    if (systemErrorCode(error) === undefined) throw error;
    throw notAnswering(endpoint, `cannot be reached: ${systemErrorReason(error)}`, error);
  } finally {
    clearTimeout(deadline);
    socket.destroy();
  }
}

async function exchange(connection: Connection, algorithms: readonly string[]): Promise<ServedHostKey | undefined> {
  connection.write(Buffer.from(`${identification}\r\n`));
  const serverIdentification = await connection.read((reader) => reader.identification());
  const clientKexInit = encodeKexInit(randomBytes(16), algorithms);
  connection.send(clientKexInit);
  const serverKexInit = await connection.message();
  const agreed = negotiate(serverKexInit, algorithms);
  if (agreed === 'no-host-key') return undefined;
  if (agreed === 'no-kex') throw new FormatError('unsupported-algorithm', 'no key exchange algorithm is common');
  if (agreed.ignoreNext) await connection.message();
  const half = agreed.kex.start();
  connection.send(encodeExchange(agreed.kex, half));
  const reply = await connection.message();
  connection.send(encodeDisconnect());
  const transcript = { clientIdentification: identification, serverIdentification, clientKexInit, serverKexInit };
  return verifyExchangeReply(reply, agreed.kex, half, transcript);
}

class Connection {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #reader = new HandshakeReader();

  constructor(socket: Socket) {
    this.#socket = socket.on('error', () => {}); // every read reports it; between two reads nobody would listen
    this.#chunks = (socket as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  send(payload: Uint8Array): void {
    this.write(encodePacket(payload, randomBytes(16)));
  }

  /** The payload of the next packet that is neither IGNORE nor DEBUG. */
  async message(): Promise<Uint8Array> {
    for (;;) {
      const payload = await this.read((reader) => reader.packet());
      if (payload[0] === messageNumbers.disconnect) throw new FormatError('bad-value', 'the server disconnected');
      if (payload[0] !== messageNumbers.ignore && payload[0] !== messageNumbers.debug) return payload;
    }
  }

  async read<T>(take: (reader: HandshakeReader) => T | undefined): Promise<T> {
    for (;;) {
      const taken = take(this.#reader);
      if (taken !== undefined) return taken;
      const next: IteratorResult<Uint8Array, unknown> = await this.#chunks.next();
      if (next.done === true) throw new FormatError('truncated', 'the server closed the connection');
      this.#reader.push(next.value);
    }
  }
}

function notAnswering({ address, port }: Endpoint, what: string, cause?: unknown): HostError {
  return new HostError('sshd-not-answering', `sshd on ${formatHostPort(address, port)} ${what}`, {
    cause,
    advice: 'Check that sshd runs and listens where its configuration says: sshd -T | grep -iE "port|listenaddress"',
  });
}

export function formatHostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
