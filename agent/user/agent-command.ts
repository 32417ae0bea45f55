/** `countersign agent`: starts, runs and ends agents in the ways of ssh-agent(1). */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { type AgentArguments, type AgentInvocation, interpretArguments } from './agent-arguments.ts';
import type { AgentConfig } from './agent-config.ts';
import { AgentFailure } from './agent-failure.ts';
import { reportToParent, startInBackground } from './background.ts';
import { closeDebuggerDoor, endSignal } from './end-signal.ts';
import { runCommand } from './run-command.ts';
import { type AgentOptions, startAgent } from './running-agent.ts';
import { defaultSignInSettings } from './session/sign-in-settings.ts';
import { formatKilled, formatVariables } from './shell-output.ts';
import { defaultSocketPath, isSamePath, makeTemporarySocketDirectory, preparePrivateDirectory } from './socket-path.ts';

/** Resolves with the exit status when there is nothing more to do. @throws AgentFailure */
export async function runAgentCommand(options: AgentArguments, command: readonly string[]): Promise<number> {
  closeDebuggerDoor();
  const invocation = interpretArguments(options, command, process.env['SHELL']);
  if (options.backgroundChild === true) return serveAsChild(invocation, options);
  switch (invocation.mode) {
    case 'kill':
      return killAgent(invocation);
    case 'daemon':
    case 'foreground':
      return serveInForeground(invocation, options);
    case 'background': {
      const { pid, socket } = await startInBackground(childArguments(options));
      process.stdout.write(`${formatVariables(invocation.shell, socket, pid)}echo Agent pid ${pid};\n`);
      return 0;
    }
    case 'command': {
      const { pid, socket } = await startInBackground([
        ...childArguments(options),
        '--parent-pid',
        String(process.pid),
      ]);
      return runCommand(command, { SSH_AUTH_SOCK: socket, SSH_AGENT_PID: String(pid) });
    }
  }
}

function killAgent({ shell }: AgentInvocation): number {
  const text = process.env['SSH_AGENT_PID'];
  const pid = Number(text);
  if (text === undefined || !Number.isInteger(pid) || pid < 2)
    throw new AgentFailure('no-agent', 'SSH_AGENT_PID is not set to a process: there is no agent to end');
  try {
    process.kill(pid, 'SIGTERM');
  } catch (cause) {
    throw new AgentFailure('no-agent', `process ${pid} could not be ended`, { cause });
  }
  process.stdout.write(formatKilled(shell, pid));
  return 0;
}

async function serveInForeground(invocation: AgentInvocation, options: AgentArguments): Promise<number> {
  const isDaemon = invocation.mode === 'daemon';
  const socket = isDaemon ? defaultSocketPath() : resolve(invocation.socket ?? defaultSocketPath());
  if (isDaemon) preparePrivateDirectory(dirname(socket));
  await using running = await startAgent(await agentOptions(invocation, options, socket));
  const ended = endSignal(running.agent);
  process.stdout.write(formatVariables(invocation.shell, socket));
  await ended;
  return 0;
}

async function serveAsChild(invocation: AgentInvocation, options: AgentArguments): Promise<number> {
  using directory = invocation.socket === undefined ? makeTemporarySocketDirectory() : undefined;
  const socket = invocation.socket ?? join(directory?.path ?? '', `agent.${process.pid}`);
  try {
    await using running = await startAgent(await agentOptions(invocation, options, socket));
    const ended = endSignal(running.agent, options.parentPid === undefined ? undefined : Number(options.parentPid));
    reportToParent({ socket });
    await ended;
  } catch (error) {
    if (!(error instanceof AgentFailure)) throw error;
    reportToParent({ code: error.code, message: error.message, advice: error.advice });
    return 1;
  }
  return 0;
}

async function agentOptions(
  invocation: AgentInvocation,
  options: AgentArguments,
  socket: string,
): Promise<AgentOptions> {
  const config = await readConfig(invocation, options);
  const isDaemon = invocation.mode === 'daemon';
  const former = process.env['SSH_AUTH_SOCK'];
  const hasFormer = invocation.usesFormerAgent && former !== undefined && former !== '';
  const formerAgent = hasFormer ? [{ name: 'former', socket: former }] : [];
  const upstreams = [...invocation.upstreams, ...(options.upstream === false ? [] : config.upstreams), ...formerAgent];
  return {
    socket,
    lifetimeSeconds: invocation.lifetimeSeconds ?? config.lifetimeSeconds,
    allowedProviders: invocation.allowedProviders,
    confirmTimeoutSeconds: config.confirmTimeoutSeconds,
    maxOffered: config.maxOffered,
    choose: config.choose,
    signIn: config.signIn,
    usesKeychain: isDaemon ? config.signIn.keychain !== 'off' : config.signIn.keychain === 'on',
    upstreams: upstreams.filter((each) => !isSamePath(each.socket, socket)), // never ourselves
    sshDirectory: join(homedir(), '.ssh'),
    report: (error) => process.stderr.write(`countersign agent: ${faultText(error)}\n`),
  };
}

/** The file is read for the daemon, and wherever it is named; a stand-in for ssh-agent has no file. */
async function readConfig(invocation: AgentInvocation, options: AgentArguments): Promise<AgentConfig> {
  const none: AgentConfig = { upstreams: [], choose: [], signIn: defaultSignInSettings };
  if (options.config === undefined && invocation.mode !== 'daemon') return none;
  const base = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  const path = options.config ?? join(base, 'countersign', 'agent.toml');
  const text = readText(path);
  if (text === undefined && options.config === undefined) return none;
  if (text === undefined) throw new AgentFailure('agent-config', `${path} does not exist`);
  const { parseAgentConfig } = await import('./agent-config.ts'); // an agent without a file does not pay for its parser
  return parseAgentConfig(text, path);
}

/** Undefined when there is no such file. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw new AgentFailure('agent-config', `${path} could not be read: ${systemErrorReason(cause)}`, { cause });
  }
}

/** For the child: what the user gave, with paths that do not depend on the directory. */
function childArguments(options: AgentArguments): string[] {
  const upstreams = options.upstream === undefined || options.upstream === false ? [] : options.upstream;
  return [
    ...(options.a === undefined ? ['-s'] : ['-a', resolve(options.a)]),
    ...(options.t === undefined ? [] : ['-t', options.t]),
    ...(options.P === undefined ? [] : ['-P', options.P]),
    ...(options.config === undefined ? [] : ['--config', resolve(options.config)]),
    ...upstreams.flatMap((each) => ['--upstream', each]),
  ];
}

/** Class and code, and the stack of a defect; never data of a request. */
function faultText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : 'an unknown fault';
}
