/**
 * What never reaches a route: HTTP that cannot be parsed, headers without end, requests that stop half-way, paths that are none.
 * The answer has the same shape as every other refusal; nothing of what came is repeated in it.
 */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ApiErrorBody, errorStatuses } from '#protocol/api-error.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { sendRefusal } from './failure.ts';

const badPath = refuse('bad-request', 'The path of the request cannot be read.');

/** For the faults that the router of the framework finds. */
export function refusePath(_error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  sendRefusal(reply.header('x-request-id', request.id), badPath);
}

const notHttp = refuse('bad-request', 'This is not a request that can be read: HTTP/1.1 over TLS is spoken here.');
const tooLate = refuse('request-timeout', 'The request did not arrive in time. Send it again, all at once.');
const tooLarge = refuse('headers-too-large', 'The headers of the request are too large.');

/** For the faults that Node's parser of HTTP finds; the connection is closed after the answer. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(formatResponse(refusalOf(error.code)), () => socket.destroy());
}

function refusalOf(code: string | undefined): Refusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return tooLate;
  return code === 'HPE_HEADER_OVERFLOW' ? tooLarge : notHttp;
}

function formatResponse({ refused, message }: Refusal): string {
  const status = errorStatuses[refused];
  const requestId = randomUUID();
  const body = JSON.stringify({ status, message, code: refused, requestId } satisfies ApiErrorBody);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
