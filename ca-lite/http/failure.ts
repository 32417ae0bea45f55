/**
 * The one place where what went wrong inside becomes an answer outside: refusals keep their words, faults of store and signer are
 * named without their insides, and everything else is `internal` with the request id under which the log has the rest.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ApiErrorBody, errorStatuses } from '#protocol/api-error.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import { SignerError } from '../signer/signer.ts';
import { StoreError } from '../store/errors.ts';

const STORE_RETRY_SECONDS = 2;

/** Carries a refusal from a route to the error handler, so that routes have one return type. Thrown by `accepted` alone. */
class RefusedRequest extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** The value, if it is not a refusal; a refusal ends the request with its own answer. */
export function accepted<Value extends object>(result: Value | Refusal): Value {
  if (isRefusal(result)) throw new RefusedRequest(result);
  return result;
}

export function sendRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  const status = errorStatuses[refusal.refused];
  const body: ApiErrorBody = { status, message: refusal.message, code: refusal.refused, requestId: reply.request.id };
  if (refusal.retryAfterSeconds !== undefined) reply.header('retry-after', String(refusal.retryAfterSeconds));
  return reply.code(status).type('application/json').send(JSON.stringify(body));
}

export function sendFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error);
  if (errorStatuses[refusal.refused] >= 500) request.log.error({ err: error }, 'request failed');
  else if (error instanceof SignerError) request.log.warn({ err: error }, 'the signer refused');
  return sendRefusal(reply, refusal);
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof RefusedRequest) return error.refusal;
  if (error instanceof StoreError) return refusalOfStore(error);
  if (error instanceof SignerError) return refusalOfSigner(error);
  return (
    refusalOfFramework(error as Partial<FastifyError>) ??
    refuse('internal', 'The CA failed. Its log has the reason under this request id.')
  );
}

function refusalOfStore(error: StoreError): Refusal {
  if (error.code === 'store-overloaded' || error.code === 'store-busy') {
    return refuse('overloaded', 'The CA has too much to write at the moment. Try again later.', STORE_RETRY_SECONDS);
  }
  return refuse(
    'store-unavailable',
    'The CA cannot write to its store, so nothing was issued. Its log has the reason.',
    30,
  );
}

function refusalOfSigner(error: SignerError): Refusal {
  if (error.code === 'signer-refused') {
    return refuse(
      'signer-refused',
      'The device that holds the CA key does not sign such a certificate: its own limits on principals or lifetime forbid it.',
    );
  }
  if (error.code === 'signer-overloaded') {
    return refuse(
      'overloaded',
      'Too many certificates wait for a signature. Try again later.',
      error.retryAfterSeconds ?? 10,
    );
  }
  return refuse(
    'signer-unavailable',
    'The CA cannot use its key at the moment, so nothing was issued. Its log has the reason.',
    30,
  );
}

/** Faults that the HTTP framework finds before a route runs. */
function refusalOfFramework({
  statusCode,
  validation,
  validationContext,
  code,
  message,
}: Partial<FastifyError>): Refusal | undefined {
  if (validation !== undefined) {
    const [first] = validation;
    const where = `${validationContext ?? 'request'}${(first?.instancePath ?? '').replaceAll('/', '.')}`;
    return refuse('bad-request', `The request is malformed: ${where} ${first?.message ?? 'is not as documented'}.`);
  }
  if (statusCode === 413) return refuse('body-too-large', 'The body of the request is too large.');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return refuse('bad-request', 'The body must have content type application/json.');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return refuse(
      'bad-request',
      `The request is malformed: ${code?.startsWith('FST_') === true ? (message ?? '') : 'it cannot be parsed'}`,
    );
  }
  return undefined;
}

export const unknownRoute: Refusal = refuse(
  'not-found',
  'There is nothing here. GET /openapi.json lists what this CA answers.',
);

export const wrongMethod: Refusal = refuse(
  'method-not-allowed',
  'This is answered for another method. GET /openapi.json says which.',
);

export function tooManyRefusals(seconds: number): Refusal {
  return refuse(
    'overloaded',
    'Too many requests from this address were refused. Look at the reasons first, then try again.',
    seconds,
  );
}
