/** A proxy before a server that keeps what passes in both directions, and reads the plain SSH packets in it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TcpServer, startTcpServer } from './tcp-server.ts';

export interface Recording {
  readonly fromClient: Buffer;
  readonly fromServer: Buffer;
}

export interface Recorder extends AsyncDisposable {
  readonly server: TcpServer;
  /** One for each connection that has ended, in the order of their ends. */
  readonly recordings: readonly Recording[];
}

export async function startRecorder(upstream: { readonly host: string; readonly port: number }): Promise<Recorder> {
  const recordings: Recording[] = [];
  const server = await startTcpServer((socket) => {
    const up = connect(upstream.port, upstream.host);
    const fromClient: Buffer[] = [];
    const fromServer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => fromClient.push(chunk)).pipe(up);
    up.on('data', (chunk: Buffer) => fromServer.push(chunk)).pipe(socket);
    up.on('error', () => socket.destroy());
    socket.prependListener('close', () => {
      up.destroy();
      recordings.push({ fromClient: Buffer.concat(fromClient), fromServer: Buffer.concat(fromServer) });
    });
  });
  return { server, recordings, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

export interface PlainSide {
  readonly versionLine: string;
  /** Payloads, up to and with NEWKEYS. */
  readonly messages: readonly Buffer[];
  /** What follows NEWKEYS, and is encrypted. */
  readonly encrypted: Buffer;
}

const SSH_MSG_NEWKEYS = 21;

/** Takes one direction apart (RFC 4253 sections 4.2 and 6). */
export function readPlainSide(bytes: Buffer): PlainSide {
  const lineEnd = bytes.indexOf('\r\n');
  const messages: Buffer[] = [];
  let offset = lineEnd + 2;
  while (offset + 5 <= bytes.length && messages.at(-1)?.[0] !== SSH_MSG_NEWKEYS) {
    const length = bytes.readUInt32BE(offset);
    messages.push(bytes.subarray(offset + 5, offset + 4 + length - bytes.readUInt8(offset + 4)));
    offset += 4 + length;
  }
  return { versionLine: bytes.toString('latin1', 0, lineEnd), messages, encrypted: bytes.subarray(offset) };
}

/** Waits until a number of connections has ended. */
export async function recordingsOf(recorder: Recorder, count: number): Promise<readonly Recording[]> {
  while (recorder.recordings.length < count) await once(AbortSignal.timeout(5), 'abort');
  return recorder.recordings;
}
