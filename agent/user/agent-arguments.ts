/**
 * The command line of `countersign agent`, as ssh-agent(1) has it, and what it means. Pure.
 * A difference on purpose: without any option it is the user's daemon in the foreground, at the well-known socket.
 * Refused on purpose: combinations that ssh-agent refuses, and `-d` with `-D`.
 */
import { AgentFailure } from './agent-failure.ts';
import { parseLifetime } from './lifetime.ts';
import { type ShellKind, shellKindOf } from './shell-output.ts';

/** As commander hands them over. */
export interface AgentArguments {
  /** Bind address. */
  readonly a?: string;
  readonly c?: boolean;
  readonly s?: boolean;
  readonly d?: boolean;
  /** Named so because `D` is another option. */
  readonly D?: boolean;
  readonly k?: boolean;
  readonly t?: string;
  readonly P?: string;
  readonly E?: string;
  readonly O?: readonly string[];
  /** NAME=SOCKET; false: none, not even the former SSH_AUTH_SOCK. */
  readonly upstream?: readonly string[] | false;
  readonly config?: string;
  readonly backgroundChild?: boolean;
  readonly parentPid?: string;
}

export type AgentMode = 'kill' | 'daemon' | 'foreground' | 'background' | 'command';

export interface AgentInvocation {
  readonly mode: AgentMode;
  readonly shell: ShellKind;
  /** Undefined: chosen by the mode. */
  readonly socket?: string;
  readonly lifetimeSeconds?: number;
  readonly allowedProviders?: string;
  readonly upstreams: readonly { readonly name: string; readonly socket: string }[];
  /** The well-known daemon passes through to the SSH_AUTH_SOCK it finds. */
  readonly usesFormerAgent: boolean;
  readonly command: readonly string[];
}

/** @throws AgentFailure `agent-options` */
export function interpretArguments(
  options: AgentArguments,
  command: readonly string[],
  shellVariable: string | undefined,
): AgentInvocation {
  refuseCombinations(options, command);
  const lifetimeSeconds = options.t === undefined ? undefined : parseLifetime(options.t);
  if (options.t !== undefined && lifetimeSeconds === undefined)
    throw new AgentFailure('agent-options', `"-t ${options.t}" is not a lifetime`, {
      advice: 'Write seconds, or a time such as 30m or 1h30m.',
    });
  const mode = modeOf(options, command);
  return {
    mode,
    shell: options.c === true ? 'csh' : options.s === true ? 'sh' : shellKindOf(shellVariable),
    ...(options.a === undefined ? {} : { socket: options.a }),
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
    ...(options.P === undefined ? {} : { allowedProviders: options.P }),
    upstreams: upstreamsOf(options).map(parseUpstream),
    usesFormerAgent: mode === 'daemon' && options.upstream === undefined,
    command,
  };
}

function modeOf(options: AgentArguments, command: readonly string[]): AgentMode {
  if (options.k === true) return 'kill';
  if (command.length > 0) return 'command';
  const inForeground = options.D === true || options.d === true;
  if (options.a !== undefined) return inForeground ? 'foreground' : 'background';
  return options.c === true || options.s === true ? 'background' : 'daemon';
}

function refuseCombinations(options: AgentArguments, command: readonly string[]): void {
  const { c, s, d, D, k } = options;
  const refuse = (message: string): never => {
    throw new AgentFailure('agent-options', message, { advice: 'See: countersign agent --help' });
  };
  if (c === true && s === true) refuse('-c and -s exclude each other');
  if (d === true && D === true) refuse('-d and -D exclude each other');
  if (command.length > 0 && [c, s, d, D, k].includes(true)) refuse('a command goes with none of -c, -s, -d, -D and -k');
}

function upstreamsOf({ upstream }: AgentArguments): readonly string[] {
  return upstream === undefined || upstream === false ? [] : upstream;
}

/** `NAME=SOCKET`, or a path alone. */
function parseUpstream(text: string): { name: string; socket: string } {
  const separator = text.indexOf('=');
  if (separator <= 0) return { name: text, socket: text };
  return { name: text.slice(0, separator), socket: text.slice(separator + 1) };
}
