/** What Yubico warns of, by firmware (security advisory YSA-2024-03). Pure. */
import { type KeyKind, keyKinds } from './algorithms.ts';
import { compareFirmware, type DeviceInfo } from './commands/device.ts';

/** Firmware before 2.4 leaks ECDSA keys to somebody who holds the device in his hands (YSA-2024-03). */
export function firmwareWarning(info: DeviceInfo, kinds: readonly KeyKind[]): string | undefined {
  const ecdsa = kinds.some((kind) => keyKinds[kind].family === 'ecdsa');
  if (!ecdsa || compareFirmware(info.firmware, [2, 4]) >= 0) return undefined;
  return `firmware ${info.firmware.join('.')} lets somebody who holds the device recover ECDSA keys (YSA-2024-03): use Ed25519 or RSA, or a device with firmware 2.4 or newer`;
}
