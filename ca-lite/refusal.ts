/** A refusal by policy or protocol: a value, not an error. What it says outward is decided where it is refused. */
import type { ApiErrorCode } from '#protocol/api-error.ts';

export interface Refusal {
  readonly refused: ApiErrorCode;
  /** What happened, why, and what to do next; without any bytes from a remote host. */
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

export function refuse(refused: ApiErrorCode, message: string, retryAfterSeconds?: number): Refusal {
  return retryAfterSeconds === undefined ? { refused, message } : { refused, message, retryAfterSeconds };
}

export function isRefusal(value: object): value is Refusal {
  return 'refused' in value;
}
