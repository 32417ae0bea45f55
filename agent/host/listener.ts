/**
 * Which process listens on an address and port (Linux, /proc): so that the sshd that really answers is the one that is reloaded. Does I/O.
 * Elsewhere, or where /proc does not tell, it finds nothing and the PID file decides.
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import { endianness } from 'node:os';
import ipaddr from 'ipaddr.js';
import { systemErrorCode } from '../failure.ts';
import { parseListeningSockets } from './proc-net.ts';
import type { Endpoint } from './sshd-settings.ts';

export interface Listener {
  readonly pid: number;
  /** Name of the program as the kernel has it: `sshd`, or `systemd` for a socket unit. */
  readonly name: string;
  /** The systemd unit it runs in, e.g. `ssh.service`; undefined without systemd. */
  readonly unit: string | undefined;
}

/** Every process that holds a listening TCP socket on exactly one of `endpoints`, as far as we may look. */
export async function findListeners(endpoints: readonly Endpoint[]): Promise<Listener[]> {
  const inodes = await listeningInodesOn(endpoints);
  if (inodes.size === 0) return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const holders = await Promise.all(pids.map(async (pid) => ((await holdsSocket(pid, inodes)) ? [pid] : [])));
  return Promise.all(holders.flat().map(describe));
}

/** Changes when the sockets are closed and opened again, as a reload of sshd does. */
export async function listeningInodesOn(endpoints: readonly Endpoint[]): Promise<Set<string>> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readOptional));
  const sockets = tables.flatMap((table) => parseListeningSockets(table, endianness() === 'LE'));
  const wanted = new Set(endpoints.map(({ address, port }) => `${canonicalAddress(address)} ${port}`));
  return new Set(sockets.filter(({ address, port }) => wanted.has(`${address} ${port}`)).map(({ inode }) => inode));
}

function canonicalAddress(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.parse(address).toString() : address;
}

async function holdsSocket(pid: number, inodes: ReadonlySet<string>): Promise<boolean> {
  try {
    const folder = `/proc/${pid}/fd`;
    for (const descriptor of await readdir(folder)) {
      const target = await readlink(`${folder}/${descriptor}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined && inodes.has(inode)) return true;
    }
    return false;
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return false; // it ended, or belongs to somebody else
  }
}

async function describe(pid: number): Promise<Listener> {
  return { pid, name: await processName(pid), unit: unitIn(await readOptional(`/proc/${pid}/cgroup`)) };
}

/** Empty for a process that is gone. */
export async function processName(pid: number): Promise<string> {
  return (await readOptional(`/proc/${pid}/comm`)).trim();
}

/** The service at the end of the control group path: `0::/system.slice/ssh.service`. */
function unitIn(cgroup: string): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1];
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return '';
  }
}
