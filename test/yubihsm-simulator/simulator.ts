/**
 * A YubiHSM 2 with its connector, in this process: for development and tests only, never for keys that are worth
 * anything. See `main.ts` to start it alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startConnector, type RunningConnector } from './connector.ts';
import { Device, type DeviceOptions } from './device.ts';
import { Faults } from './faults.ts';
import { publishedMs } from './timing.ts';

export interface SimulatorOptions extends Omit<DeviceOptions, 'onCommand'> {
  /** A free port when not given. */
  port?: number;
  /** Signatures take as long as Yubico says that a real device takes. */
  realtime?: boolean;
}

export interface Simulator extends AsyncDisposable {
  /** What a client is given as the connector's URL. */
  readonly url: string;
  readonly port: number;
  readonly device: Device;
  readonly faults: Faults;
  /** Ends the connector; the device keeps its power and its sessions. */
  stopConnector(): Promise<void>;
  /** Starts the connector again on the same port. */
  startConnector(): Promise<void>;
}

/** Starts a simulator. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const device = new Device({ ...options, ...(options.realtime && { onCommand: takeTime }) });
  const faults = new Faults();
  let connector: RunningConnector = await startConnector(device, faults, options.port ?? 0);
  const { url, port } = connector;
  return {
    url,
    port,
    device,
    faults,
    stopConnector: async () => connector[Symbol.asyncDispose](),
    startConnector: async () => {
      connector = await startConnector(device, faults, port);
    },
    [Symbol.asyncDispose]: async () => connector[Symbol.asyncDispose](),
  };
}

async function takeTime(command: number, algorithm: number | undefined, length: number, tookMs: number): Promise<void> {
  const ms = publishedMs(command, algorithm, length) - tookMs;
  if (ms > 0) await sleep(ms);
}
