/** Failures of the renewal that are neither the CA's nor sshd's. */
import { Failure } from '../../failure.ts';

export type RenewalErrorCode =
  | 'not-enrolled' // there is no certificate to renew
  | 'schedule-invalid'; // the schedule of the daemon is none

export class RenewalError extends Failure<RenewalErrorCode> {
  override readonly name = 'RenewalError';
}
