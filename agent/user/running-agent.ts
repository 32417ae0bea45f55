/**
 * The agent as it runs: state, sockets, timers and signals put together. Started by the command line in the foreground, or
 * in the background child; stopped by disposing it.
 */
import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ControlState } from '#protocol/control.ts';
import { openControlServer } from '../control/control-server.ts';
import { AgentLock } from './agent-lock.ts';
import type { AgentState, Peer } from './agent-state.ts';
import { askpassProgram } from './askpass.ts';
import { ChangeSignal } from './change-signal.ts';
import { ConfirmationDesk } from './confirmation-desk.ts';
import { ConfirmationQueue } from './confirmation-queue.ts';
import { describeState } from './describe-state.ts';
import { type ChoiceRule, IdentityChoice } from './identity-choice.ts';
import { IdentityStore } from './identity-store.ts';
import { startExpiry } from './expiry-timer.ts';
import { systemClock } from './moment.ts';
import { type NativeCalls, loadNativeCalls } from './native-calls.ts';
import { DEFAULT_ALLOWED_PROVIDERS } from './provider-policy.ts';
import { SignInService } from './session/sign-in-service.ts';
import { type SignInSettings, defaultSignInSettings } from './session/sign-in-settings.ts';
import { controlSocketOf, listenPrivately } from './socket-path.ts';
import { createAgentServer } from './socket-server.ts';
import { FreshSshConfig } from './ssh-config/keep-fresh.ts';
import { UpstreamAgents, type UpstreamConfig } from './upstream-agents.ts';

const DEFAULT_CONFIRM_TIMEOUT_SECONDS = 60;
/** When whoever started the agent has done its first listing. */
const TRIM_AFTER_MS = 2000;

export interface AgentOptions {
  readonly socket: string;
  readonly lifetimeSeconds?: number | undefined;
  readonly allowedProviders?: string | undefined;
  readonly confirmTimeoutSeconds?: number | undefined;
  readonly maxOffered?: number | undefined;
  readonly choose?: readonly ChoiceRule[];
  readonly upstreams?: readonly UpstreamConfig[];
  readonly signIn?: SignInSettings;
  /** Whether sessions may be kept in the keychain of the system. */
  readonly usesKeychain?: boolean;
  /** The user's directory of ssh, absolute; undefined: what is installed there is left alone. */
  readonly sshDirectory?: string;
  /** Told of faults of ours. */
  readonly report: (error: unknown) => void;
}

export interface RunningAgent extends AsyncDisposable {
  readonly agent: AgentState;
  state(): ControlState;
}

/** Listens on both sockets when it resolves. @throws AgentFailure */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  await using stack = new AsyncDisposableStack();
  const native = loadNativeCalls();
  const protection = protect(native);
  const changes = new ChangeSignal();
  const queue = new ConfirmationQueue(
    (options.confirmTimeoutSeconds ?? DEFAULT_CONFIRM_TIMEOUT_SECONDS) * 1000,
    changes.notify,
  );
  const upstreams = new UpstreamAgents(options.upstreams ?? []);
  const store = new IdentityStore(changes.notify);
  const watchers = { count: 0 };
  const sshConfig = stack.use(openSshConfig(options, changes));
  const signIn = stack.use(
    new SignInService({
      store,
      clock: systemClock,
      changes,
      settings: options.signIn ?? defaultSignInSettings,
      socket: options.socket,
      usesKeychain: options.usesKeychain === true,
      watchers: () => watchers.count,
      certified: sshConfig.look,
      report: options.report,
    }),
  );
  const agent = makeState(options, changes, { store, source: signIn, hasUpstreams: upstreams.size > 0 });
  const startedAt = Date.now();
  const state = (): ControlState =>
    describeState({
      agent,
      queue,
      upstreams,
      signIn,
      sshConfig: sshConfig.describe(),
      protection,
      startedAt,
      socket: options.socket,
    });
  const peers = { peerOf: peerFinder(native), isPeerAllowed: peerRule(native) };
  const desk = new ConfirmationDesk(queue, systemClock, askpassProgram(process.env));
  const server = createAgentServer({ agent, clock: systemClock, desk, upstreams, report: options.report, ...peers });
  stack.use(startExpiry(agent.store, changes, systemClock));
  stack.use(
    await openControlServer({
      socket: controlSocketOf(options.socket),
      state,
      queue,
      changes,
      signIn,
      watchers,
      ...peers,
    }),
  );
  stack.use(await listenPrivately(server, options.socket));
  signIn.restore().catch(options.report);
  sshConfig.start();
  setTimeout(() => native?.trimMemory(), TRIM_AFTER_MS).unref();
  const owned = stack.move();
  return { agent, state, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function openSshConfig(
  { sshDirectory, socket, signIn, report }: AgentOptions,
  { notify }: ChangeSignal,
): FreshSshConfig {
  return new FreshSshConfig({ sshDirectory, socket, stateDirectory: signIn?.stateDirectory, notify, report });
}

function makeState(
  options: AgentOptions,
  changes: ChangeSignal,
  parts: Pick<AgentState, 'store' | 'hasUpstreams'> & { readonly source: SignInService },
): AgentState {
  return {
    lock: new AgentLock(changes.notify),
    choice: new IdentityChoice(options.choose, options.maxOffered),
    policy: {
      defaultLifetimeSeconds: options.lifetimeSeconds,
      allowedProviders: options.allowedProviders ?? DEFAULT_ALLOWED_PROVIDERS,
    },
    ...parts,
    canonicalPath,
    random: randomBytes,
  };
}

/** What a core dump or a debugger would give away is the keys. */
function protect(native: NativeCalls | undefined): ControlState['protection'] {
  return {
    peerUserChecked: native !== undefined,
    coreDumpsOff: native?.forbidCoreDumps() === true,
    memoryHidden: native?.hideMemory() === true,
  };
}

/** Node gives the descriptor of a socket only in an internal field; without it the file mode of the socket must do. */
function peerFinder(native: NativeCalls | undefined): (socket: Socket) => Peer | undefined {
  return (socket) => {
    const handle = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle;
    return handle?.fd === undefined || handle.fd < 0 ? undefined : native?.peerOf(handle.fd);
  };
}

/** The user and root, as in ssh-agent. Where the platform tells, an unknown peer is refused. */
function peerRule(native: NativeCalls | undefined): (peer: Peer | undefined) => boolean {
  const uid = process.geteuid?.();
  return (peer) => (peer === undefined ? native === undefined : peer.uid === uid || peer.uid === 0);
}

function canonicalPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
