/**
 * How a daemon tells systemd how it is (`#protocol/service-notice.ts`): datagrams that leave from the daemon's own process, so that
 * `NotifyAccess=main` is enough. Node has no Unix datagrams: the C library is called. Does I/O.
 * Refused on purpose: waiting; a service manager that does not read gets no notice.
 */
import { AF_UNIX, type Notice, formatNotice, takeServiceWish } from '#protocol/service-notice.ts';
import { loadForeignFunctions } from '../foreign-functions.ts';

export interface ServiceManager {
  /** Within this time the manager wants to hear `watchdog`; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
  /** Whether the notice left. */
  notify(notice: Notice): boolean;
}

const SOCK_DGRAM_CLOEXEC = 0o2_000_002;
const MSG_DONTWAIT_NOSIGNAL = 0x4040;

type Environment = Record<string, string | undefined>;

/**
 * Takes the manager's variables out of `environment`.
 * @returns undefined when no manager wants to know @throws when it does, and cannot be told: it would take the daemon for dead
 */
export function openServiceManager(environment: Environment = process.env): ServiceManager | undefined {
  const wish = takeServiceWish(environment, process.pid);
  if (wish === undefined) return undefined;
  const send = datagrams(wish.address);
  return { watchdogMs: wish.watchdogMs, notify: (notice) => send(Buffer.from(formatNotice(notice))) };
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
