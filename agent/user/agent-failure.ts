/** Expected failures of the user agent's commands. */
import { Failure } from '../failure.ts';

export type AgentFailureCode =
  | 'agent-running' // a live agent holds the socket
  | 'socket-path' // the path cannot be used for a socket
  | 'socket-directory' // its directory is not private
  | 'no-agent' // nothing to talk to
  | 'agent-start' // the background process did not come up
  | 'agent-options'
  | 'agent-config'
  | 'question-gone'
  | 'sign-in-gone' // the sign-in that was asked about is over
  | 'agent-locked'
  | 'no-session' // nobody is signed in
  | 'service-install';

export class AgentFailure extends Failure<AgentFailureCode> {
  override readonly name = 'AgentFailure';
}
