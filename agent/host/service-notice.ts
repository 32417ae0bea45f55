/**
 * How a daemon tells systemd how it is (sd_notify(3)): datagrams to the Unix socket that `NOTIFY_SOCKET` names. They leave from the
 * daemon's own process, so that `NotifyAccess=main` is enough. Node has no Unix datagrams: the C library is called. Does I/O.
 * Refused on purpose: other sockets than Unix ones (`vsock:` is for virtual machines), and waiting: a service manager that does not
 * read gets no notice.
 */
import { loadForeignFunctions } from '../foreign-functions.ts';

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

export interface ServiceManager {
  /** Within this time the manager wants to hear `watchdog`; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
  /** Whether the notice left. */
  notify(notice: Notice): boolean;
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2_000_002;
const MSG_DONTWAIT_NOSIGNAL = 0x4040;
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

type Environment = Record<string, string | undefined>;

/**
 * Takes the manager's variables out of `environment`, so that programs that the daemon starts do not speak for it.
 * @returns undefined when no manager wants to know @throws when it does, and cannot be told: it would take the daemon for dead
 */
export function openServiceManager(environment: Environment = process.env): ServiceManager | undefined {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  const address = socketAddress(path ?? '');
  if (address === undefined) return undefined;
  const isWatched = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
  const microseconds = isWatched && /^[1-9]\d{0,17}$/.test(WATCHDOG_USEC ?? '') ? Number(WATCHDOG_USEC) : undefined;
  const send = datagrams(address);
  return {
    watchdogMs: microseconds === undefined ? undefined : microseconds / 1000,
    notify: (notice) => send(Buffer.from(formatNotice(notice))),
  };
}

/** A socket for each datagram: there are few. */
function datagrams(address: Uint8Array): (message: Uint8Array) => boolean {
  const { functions } = loadForeignFunctions().dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    sendto: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'u32'], return: 'i64' },
    close: { arguments: ['i32'], return: 'i32' },
  });
  return (message) => {
    const socket = functions.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (socket < 0) return false;
    const length = BigInt(message.length);
    const sent = functions.sendto(socket, message, length, MSG_DONTWAIT_NOSIGNAL, address, address.length);
    functions.close(socket);
    return sent === length;
  };
}

/** Pings twice in the time that the manager allows, as long as `isWell` says so. */
export function answerWatchdog(manager: ServiceManager | undefined, isWell: () => boolean): Disposable {
  if (manager?.watchdogMs === undefined) return { [Symbol.dispose]: () => {} };
  const ping = () => void (isWell() && manager.notify({ watchdog: true }));
  ping();
  const timer = setInterval(ping, manager.watchdogMs / 2);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
