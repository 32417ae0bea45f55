/**
 * How the CA tells systemd how it is (`#protocol/service-notice.ts`): ready once it answers, alive as long as it gets on, stopping.
 * The datagrams leave from the server's own process, so that `NotifyAccess=main` is enough. Node has no Unix datagrams: the C library
 * is called, through `node:ffi`. Does I/O.
 * Refused on purpose: waiting; a service manager that does not read gets no notice.
 */
import { AF_UNIX, type Notice, formatNotice, takeServiceWish } from '#protocol/service-notice.ts';
import { StoreError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';

export interface ServiceManager {
  /** Within this time the manager wants to hear `watchdog`; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
  readonly notify: (notice: Notice) => void;
}

const SOCK_DGRAM_CLOEXEC = 0o2_000_002;
const MSG_DONTWAIT_NOSIGNAL = 0x4040;
const SIGNS_IN_THE_TIME = 3;

/** Without systemd: nobody is told. @throws when there is a manager and it cannot be told: it would take the CA for dead */
export function openServiceManager(environment = process.env): ServiceManager {
  const wish = takeServiceWish(environment, process.pid);
  if (wish === undefined) return { watchdogMs: undefined, notify: () => undefined };
  const send = datagrams(wish.address);
  return { watchdogMs: wish.watchdogMs, notify: (notice) => send(Buffer.from(formatNotice(notice))) };
}

/** A socket for each datagram: there are few. */
function datagrams(address: Uint8Array): (message: Uint8Array) => void {
  const { functions } = process.getBuiltinModule('node:ffi').dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    sendto: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'u32'], return: 'i64' },
    close: { arguments: ['i32'], return: 'i32' },
  });
  return (message) => {
    const socket = functions.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (socket < 0) return;
    functions.sendto(socket, message, BigInt(message.length), MSG_DONTWAIT_NOSIGNAL, address, address.length);
    functions.close(socket);
  };
}

/**
 * Gives a sign of life three times in the time that the manager allows, each after `isAlive` said yes; the next question waits for the
 * answer to the last. Who asks is the event loop, so that also a server that is stuck in a computation falls silent.
 */
export function giveSignsOfLife({ watchdogMs, notify }: ServiceManager, isAlive: () => Promise<boolean>): Disposable {
  if (watchdogMs === undefined) return { [Symbol.dispose]: () => undefined };
  let asking = false;
  const ask = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    if (await isAlive()) notify({ watchdog: true });
    asking = false;
  };
  void ask();
  const timer = setInterval(() => void ask(), watchdogMs / SIGNS_IN_THE_TIME);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * Whether the thread that writes the store answers; resolves when it does, and never while it hangs. A refusal by the disk (full,
 * busy, failing) is an answer: no restart repairs it.
 */
export async function storeAnswers(store: Pick<Store, 'prune'>, now: bigint): Promise<boolean> {
  try {
    await store.prune({ now, leewaySeconds: now, limit: 1 }); // of what ended before 1970: nothing
    return true;
  } catch (error) {
    return error instanceof StoreError && error.code !== 'store-failed' && error.code !== 'store-closed';
  }
}
