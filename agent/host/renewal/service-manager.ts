/**
 * Tells systemd how the daemon is (sd_notify(3)), through systemd's own program, since Node has no datagrams on Unix sockets. Without
 * NOTIFY_SOCKET, or without the program, nobody wants to know.
 */
import { execFile } from 'node:child_process';

const TIMEOUT_MS = 5000;

export type ServiceState = 'READY=1' | 'STOPPING=1';

/** @param status one line for `systemctl status` */
export async function notifyServiceManager(status: string, state?: ServiceState): Promise<void> {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  const words = [...(state === undefined ? [] : [state]), `STATUS=${status.replaceAll(/\p{Cc}/gu, ' ')}`];
  await new Promise<void>((done) => {
    execFile('systemd-notify', words, { timeout: TIMEOUT_MS }, () => done());
  });
}
