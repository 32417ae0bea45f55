/**
 * The tables /proc/net/tcp and /proc/net/tcp6 (proc(5)): which sockets listen where. Addresses stand there as 32-bit words in the byte
 * order of the machine, ports in network order, both in hex. Pure.
 */
import ipaddr from 'ipaddr.js';
import type { Endpoint } from './sshd-settings.ts';

const STATE_LISTEN = '0A';

export interface ListeningSocket extends Endpoint {
  /** Decimal, as in `socket:[12345]` of /proc/PID/fd. */
  readonly inode: string;
}

/** Addresses in canonical text; wildcards as `0.0.0.0` and `::`. @param littleEndian byte order of the machine */
export function parseListeningSockets(table: string, littleEndian: boolean): ListeningSocket[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const [, words, port] = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (state !== STATE_LISTEN || inode === undefined || words === undefined || port === undefined) return [];
    return [{ address: formatAddress(words, littleEndian), port: Number.parseInt(port, 16), inode }];
  });
}

function formatAddress(words: string, littleEndian: boolean): string {
  const bytes = (words.match(/.{8}/g) ?? []).flatMap((word) => {
    const network = [...Buffer.from(word, 'hex')];
    return littleEndian ? network.toReversed() : network;
  });
  return ipaddr.fromByteArray(bytes).toString();
}
