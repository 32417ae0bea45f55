/** The tables /proc/net/tcp and /proc/net/tcp6 (proc(5)): which sockets listen on which ports. Pure. */

const STATE_LISTEN = '0A';

/** Socket inodes, as decimal text, of listening sockets on one of `ports`. */
export function listeningInodes(table: string, ports: readonly number[]): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(':')[1] ?? '', 16);
    return state === STATE_LISTEN && inode !== undefined && ports.includes(port) ? [inode] : [];
  });
}
