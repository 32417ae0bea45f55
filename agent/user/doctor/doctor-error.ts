/** Failures of looking for the reason why ssh does not get in; what is found is a `Finding`, not an error. */
import { Failure } from '../../failure.ts';

export type DoctorErrorCode = 'ssh-unusable'; // ssh itself does not start, or not with its configuration

export class DoctorError extends Failure<DoctorErrorCode> {
  override readonly name = 'DoctorError';
}
