/** What the device pool tells of itself while it runs, for logs and metrics. */
import type { DeviceInfo } from './commands/device.ts';
import type { HsmError } from './errors.ts';

/** Something that an operator may want to know. */
export type HsmEvent =
  | { kind: 'device-ready'; device: string; info: DeviceInfo }
  | { kind: 'device-lost'; device: string; error: HsmError }
  | { kind: 'warning'; device: string; warning: string }
  | { kind: 'log-drained'; device: string; entries: number }
  | { kind: 'log-alarm'; device: string; error: HsmError };
