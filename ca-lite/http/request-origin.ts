/** Who sent a request, as the audit log and the limits name it. */
import type { FastifyRequest } from 'fastify';

export interface RequestOrigin {
  /** The address of the TCP peer; headers of proxies are not believed. */
  readonly requester: string;
  readonly requestId: string;
}

export function originOf(request: FastifyRequest): RequestOrigin {
  // Not there any more when the client has hung up already, whatever the type says.
  const address: string | undefined = request.ip;
  return { requester: (address ?? 'gone').replace(/^::ffff:(?=\d+\.)/, ''), requestId: request.id };
}
