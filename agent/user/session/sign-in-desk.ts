/**
 * The sign-ins under way: started over the control API or because ssh asked, one at a time, shown to whoever looks, over at their deadline whether
 * or not anybody looks. What a sign-in brings goes to the sessions. Does I/O.
 */
import { randomBytes } from 'node:crypto';
import type { ControlSignIn, ControlSignInRequest } from '#protocol/control.ts';
import { openCaClient } from '../../ca/ca-client.ts';
import { printable } from '../../ca/foreign-text.ts';
import { isFailure } from '../../failure.ts';
import { currentAuthority } from '../../ca/current-authority.ts';
import { stateDirectoryPath } from '../../state/state-directory.ts';
import { browserCommands, openBrowser } from '../login/browser.ts';
import { LoginError } from '../login/login-error.ts';
import type { Provisioner } from '../login/provisioner.ts';
import { signIn, signInTimeout } from '../login/sign-in.ts';
import type { SessionPlace } from './session.ts';
import { readProviderCa } from './session-renewal.ts';
import type { SignInSessions } from './sessions.ts';
import type { SignInSettings } from './sign-in-settings.ts';

const DEFAULT_TIMEOUT_SECONDS = 300;
/** For whoever waits for the end. */
const SHOWN_AFTER_END_MS = 60_000;
const MAX_ENDED = 8;

export interface DeskParts {
  readonly sessions: SignInSessions;
  readonly settings: SignInSettings;
  readonly notify: () => void;
  readonly report: (error: unknown) => void;
}

interface Attempt {
  shown: ControlSignIn;
  readonly request: ControlSignInRequest;
  readonly stop: AbortController;
  readonly over: Promise<void>;
}

export class SignInDesk implements AsyncDisposable {
  readonly #parts: DeskParts;
  readonly #attempts = new Map<string, Attempt>();

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** The oldest first. */
  describe(): ControlSignIn[] {
    return [...this.#attempts.values()].map(({ shown }) => shown);
  }

  get isBusy(): boolean {
    return this.#running() !== undefined;
  }

  /** Starts one, in place of one that is different; joins one that is the same. */
  start(request: ControlSignInRequest, startedBy: ControlSignIn['startedBy']): ControlSignIn {
    const running = this.#running();
    if (running !== undefined && isSame(running.request, request)) return running.shown;
    running?.stop.abort(gone('another sign-in took its place'));
    const timeoutSeconds = request.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    const stop = new AbortController();
    const now = Date.now();
    const shown: ControlSignIn = {
      id: randomBytes(12).toString('base64url'),
      startedAt: now,
      deadline: now + timeoutSeconds * 1000,
      startedBy,
      phase: 'starting',
    };
    const timer = setTimeout(() => stop.abort(signInTimeout(timeoutSeconds)), timeoutSeconds * 1000);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#attempts.set(shown.id, { shown, request, stop, over: promise });
    this.#parts.notify();
    void this.#run(shown.id, request, stop.signal).finally(() => {
      clearTimeout(timer);
      this.#forgetLater(shown.id);
      resolve();
    });
    return shown;
  }

  /** Resolves when it is over, whatever came of it. */
  async over(id: string): Promise<void> {
    await this.#attempts.get(id)?.over;
  }

  /** False when it is over. */
  cancel(id: string): boolean {
    const attempt = this.#attempts.get(id);
    if (attempt === undefined || isOver(attempt)) return false;
    attempt.stop.abort(gone('it was cancelled'));
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#attempts.values()].filter((attempt) => !isOver(attempt));
    for (const { stop } of running) stop.abort(gone('the agent ended'));
    await Promise.all(running.map(({ over }) => over));
  }

  #running(): Attempt | undefined {
    return [...this.#attempts.values()].find((attempt) => !isOver(attempt) && !attempt.stop.signal.aborted);
  }

  #show(id: string, change: Partial<ControlSignIn>): void {
    const attempt = this.#attempts.get(id);
    if (attempt === undefined) return;
    attempt.shown = { ...attempt.shown, ...change };
    this.#parts.notify();
  }

  async #run(id: string, request: ControlSignInRequest, signal: AbortSignal): Promise<void> {
    try {
      this.#show(id, { phase: 'done', session: await this.#signIn(id, request, signal) });
    } catch (error) {
      const failure = isFailure(error) ? error : unexpected(error);
      if (failure !== error) this.#parts.report(error);
      const { code, message, advice } = failure;
      const told = {
        code,
        message: message.slice(0, 4096),
        ...(advice === undefined ? {} : { advice: advice.slice(0, 4096) }),
      };
      this.#show(id, { phase: 'failed', failure: told });
    }
  }

  /** The id of the session that it brought. */
  async #signIn(id: string, request: ControlSignInRequest, signal: AbortSignal): Promise<string> {
    const place = this.#placeOf(request);
    const [authority, providerCa] = [await currentAuthority(place.stateDirectory, signal), await readProviderCa(place)];
    await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal });
    const signedIn = await signIn({
      authority,
      client,
      signal,
      keepsSession: true,
      chooseFlow: (provisioner) => {
        const flow = flowFor(request, provisioner);
        this.#show(id, { provisioner: printable(provisioner.name, 64), flow });
        return flow;
      },
      showUrl: async (url) => {
        this.#show(id, { phase: 'waiting', url: url.href });
        if (request.openBrowser === true) await this.#openBrowser(url);
      },
      showDevicePrompt: ({ url, code, completeUrl }) =>
        this.#show(id, {
          phase: 'waiting',
          url: url.href,
          code,
          ...(completeUrl === undefined ? {} : { completeUrl: completeUrl.href }),
        }),
      ...(request.provisioner === undefined ? {} : { provisioner: request.provisioner }),
      ...(providerCa === undefined ? {} : { providerCa }),
    });
    return (await this.#parts.sessions.adopt(signedIn, authority.url, place)).id;
  }

  #placeOf({ stateDirectory, providerCa }: ControlSignInRequest): SessionPlace {
    return {
      stateDirectory: stateDirectory ?? stateDirectoryPath(this.#parts.settings.stateDirectory),
      ...(providerCa === undefined ? {} : { providerCa }),
    };
  }

  /** One that does not start is no failure: the address is shown all the same. */
  async #openBrowser(url: URL): Promise<void> {
    await openBrowser(browserCommands(process.platform, process.env, this.#parts.settings.browser), url);
  }

  #forgetLater(id: string): void {
    const ended = [...this.#attempts.values()].filter(isOver);
    for (const { shown } of ended.slice(0, -MAX_ENDED)) this.#attempts.delete(shown.id);
    setTimeout(() => {
      this.#attempts.delete(id);
      this.#parts.notify();
    }, SHOWN_AFTER_END_MS).unref();
  }
}

function isOver({ shown: { phase } }: Attempt): boolean {
  return phase === 'done' || phase === 'failed';
}

/** Whether one serves for the other: who opens the browser, and for how long, makes no difference. */
function isSame(a: ControlSignInRequest, b: ControlSignInRequest): boolean {
  const members = ['provisioner', 'flow', 'stateDirectory', 'providerCa'] as const;
  return members.every((member) => a[member] === b[member]);
}

function flowFor({ flow }: ControlSignInRequest, { client }: Provisioner): 'browser' | 'device' {
  if (flow !== 'device-if-offered') return flow;
  return client.deviceFlow ? 'device' : 'browser';
}

function gone(why: string): LoginError {
  return new LoginError('sign-in-gone', `the sign-in is over: ${why}`, { advice: 'Start another: countersign login' });
}

function unexpected(cause: unknown): LoginError {
  return new LoginError('provider-invalid', 'the sign-in failed in a way that the agent does not know', {
    cause,
    advice: 'The log of the agent says more.',
  });
}
