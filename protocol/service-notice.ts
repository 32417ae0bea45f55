/**
 * What a daemon and systemd say to each other (sd_notify(3), sd_watchdog_enabled(3)): the text of notices, the address of the socket
 * that takes them, and the variables that ask for them. Who sends them is the daemon's own matter.
 * Refused on purpose: other sockets than Unix ones (`vsock:` is for virtual machines).
 */
import { Buffer } from 'node:buffer';

export interface Notice {
  /** Starting is over. */
  readonly ready?: true;
  readonly stopping?: true;
  /** One line for `systemctl status`. */
  readonly status?: string;
  /** The daemon is alive and gets on. */
  readonly watchdog?: true;
  /** Starting or stopping takes this much longer from now on: no reason to kill it. */
  readonly extendSeconds?: number;
}

/** What the service manager wants. */
export interface ServiceWish {
  /** sockaddr_un to send notices to. */
  readonly address: Uint8Array;
  /** Within this time the manager wants to hear `watchdog`; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
}

export const AF_UNIX = 1;
/** sizeof(sun_path), unix(7) */
const MAX_PATH_BYTES = 108;
const MAX_STATUS_LENGTH = 512;

/** The assignments of a notice, one a line (sd_notify(3)). */
export function formatNotice({ ready, stopping, status, watchdog, extendSeconds }: Notice): string {
  const lines = [
    ...(ready === true ? ['READY=1'] : []),
    ...(stopping === true ? ['STOPPING=1'] : []),
    ...(status === undefined ? [] : [`STATUS=${status.replaceAll(/\p{Cc}+/gu, ' ').slice(0, MAX_STATUS_LENGTH)}`]),
    ...(watchdog === true ? ['WATCHDOG=1'] : []),
    ...(extendSeconds === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${Math.ceil(extendSeconds * 1e6)}`]),
  ];
  return lines.join('\n');
}

/** sockaddr_un of a path, or of an abstract name with `@` in front; undefined for what is neither. */
export function socketAddress(path: string): Uint8Array | undefined {
  const name = Buffer.from(path);
  if (!/^[/@]/.test(path) || path.includes('\0') || name.length >= MAX_PATH_BYTES) return undefined;
  const isAbstract = name[0] === 0x40;
  if (isAbstract) name[0] = 0;
  const family = new Uint8Array(Uint16Array.of(AF_UNIX).buffer);
  return Buffer.concat([family, name, new Uint8Array(isAbstract ? 0 : 1)]);
}

/**
 * Takes the manager's variables out of `environment`, so that programs that the daemon starts do not speak for it.
 * @param pid of the daemon
 * @returns undefined when no manager wants to know
 */
export function takeServiceWish(environment: Record<string, string | undefined>, pid: number): ServiceWish | undefined {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  const address = socketAddress(NOTIFY_SOCKET ?? '');
  if (address === undefined) return undefined;
  const isWatched = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid);
  const microseconds = isWatched && /^[1-9]\d{0,17}$/.test(WATCHDOG_USEC ?? '') ? Number(WATCHDOG_USEC) : undefined;
  return { address, watchdogMs: microseconds === undefined ? undefined : microseconds / 1000 };
}
