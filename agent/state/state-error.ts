/** Failures of the state directory and of what is kept in it. */
import { Failure } from '../failure.ts';

export type StateErrorCode =
  | 'state-unusable' // cannot be made, read or written
  | 'state-not-private' // belongs to somebody else, or others may write to it
  | 'state-damaged' // a file in it is not what we wrote
  | 'not-bootstrapped' // no CA is trusted yet
  | 'different-authority' // another CA is trusted already
  | 'busy'; // another run holds the lock

export class StateError extends Failure<StateErrorCode> {
  override readonly name = 'StateError';
}
