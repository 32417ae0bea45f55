/** What the YubiHSM tests share: a simulator with keys in it, made by our own client. */
import type { Clock } from '#ca-lite/yubihsm/clock.ts';
import { capabilityBits, type Capability } from '#ca-lite/yubihsm/capabilities.ts';
import { generateAsymmetricKey } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { putAuthenticationKey } from '#ca-lite/yubihsm/commands/authentication-key.ts';
import { type Connector, openConnector } from '#ca-lite/yubihsm/connector.ts';
import { allDomains } from '#ca-lite/yubihsm/domains.ts';
import { type AuthenticationKeys, keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { openSession, type Session } from '#ca-lite/yubihsm/session.ts';
import type { KeyKind } from '#ca-lite/yubihsm/algorithms.ts';
import { type Simulator, startSimulator, type SimulatorOptions } from '#test/yubihsm-simulator/simulator.ts';

/** The keys of the password that a device leaves the factory with. */
export const factoryKeys: AuthenticationKeys = await keysFromPassword('password');

/** A simulator and a connector to it. */
export interface Bench extends AsyncDisposable {
  simulator: Simulator;
  connector: Connector;
  /** Opens a session as the factory's authentication key, or another one. */
  session(authKeyId?: number, keys?: AuthenticationKeys): Promise<Session>;
}

export async function startBench(options: SimulatorOptions = {}): Promise<Bench> {
  const simulator = await startSimulator(options);
  const connector = openConnector(simulator.url);
  return {
    simulator,
    connector,
    session: (authKeyId = 1, keys = factoryKeys) => openSession({ connector, authKeyId, keys }),
    [Symbol.asyncDispose]: async () => {
      await connector[Symbol.asyncDispose]();
      await simulator[Symbol.asyncDispose]();
    },
  };
}

/** Makes a CA key that may do what its kind needs, in all domains. */
export function makeKey(session: Session, id: number, kind: KeyKind, ...capabilities: Capability[]): Promise<number> {
  const header = { id, label: `key ${id}`, domains: allDomains, capabilities: capabilityBits(...capabilities) };
  return session.execute(generateAsymmetricKey({ ...header, algorithm: kind }));
}

/** Makes an authentication key with these capabilities and no delegated ones. */
export async function makeAuthKey(
  session: Session,
  id: number,
  password: string,
  capabilities: readonly Capability[],
  domains = allDomains,
): Promise<AuthenticationKeys> {
  const keys = await keysFromPassword(password);
  const header = { id, label: `auth ${id}`, domains, capabilities: capabilityBits(...capabilities), delegated: 0n };
  await session.execute(putAuthenticationKey(header, keys));
  return keys;
}

/** A clock that stands still until it is told to go on. */
export class HandClock implements Clock {
  #now = 0;
  readonly #waiting = new Set<{ until: number; wake: () => void }>();

  readonly now = (): number => this.#now;

  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { until: this.#now + ms, wake: resolve };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', () => {
        this.#waiting.delete(waiter);
        reject(signal.reason as Error);
      });
    });
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Goes on by this much and wakes whose time has come. */
  advance(ms: number): void {
    this.#now += ms;
    for (const waiter of [...this.#waiting].filter(({ until }) => until <= this.#now)) {
      this.#waiting.delete(waiter);
      waiter.wake();
    }
  }
}
