/**
 * Which agent a command means, by one order for all commands: the one of `--socket`; else a Countersign agent, in SSH_AUTH_SOCK or else the
 * user's daemon; else whatever ssh-agent is in SSH_AUTH_SOCK. An agent of ours is known by the control socket beside its own. Does I/O.
 */
import { AgentFailure } from './agent-failure.ts';
import { controlSocketOf, defaultSocketPath, isLive } from './socket-path.ts';

export interface ChosenAgent {
  /** Of the ssh-agent protocol. */
  readonly socket: string;
  /** Of the control API; undefined for a foreign agent. */
  readonly control?: string;
}

/** @param given the value of --socket @throws AgentFailure `no-agent` */
export async function chooseAgent(given: string | undefined, environment = process.env): Promise<ChosenAgent> {
  const inherited = environment['SSH_AUTH_SOCK'] ?? '';
  const ours = given === undefined ? [inherited, defaultSocketPath(environment)] : [given];
  for (const socket of ours) {
    const control = controlSocketOf(socket);
    if (socket !== '' && (await isLive(control))) return { socket, control };
  }
  const foreign = given ?? inherited;
  if (foreign !== '' && (await isLive(foreign))) return { socket: foreign };
  throw new AgentFailure('no-agent', 'no ssh-agent is running to keep the key', {
    advice:
      'Start one with: countersign agent (see docs/agent.md), or name its socket in SSH_AUTH_SOCK or with --socket.',
  });
}

/** The control socket of the agent meant. @throws AgentFailure `no-agent` */
export async function chooseControlSocket(given: string | undefined, environment = process.env): Promise<string> {
  const chosen = await chooseAgent(given, environment).catch((error: unknown) => {
    if (error instanceof AgentFailure) return undefined;
    throw error;
  });
  if (chosen?.control !== undefined) return chosen.control;
  throw new AgentFailure('no-agent', 'no Countersign agent is running', {
    advice: 'Start one with: countersign agent, or name its socket with --socket.',
  });
}
