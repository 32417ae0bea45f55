/** Who sent a request, as the audit log and the limits name it. */
import type { FastifyRequest } from 'fastify';

export interface RequestOrigin {
  /** The address of the TCP peer; headers of proxies are not believed. */
  readonly requester: string;
  readonly requestId: string;
}

export function originOf(request: FastifyRequest): RequestOrigin {
  return { requester: request.ip.replace(/^::ffff:(?=\d+\.)/, ''), requestId: request.id };
}
