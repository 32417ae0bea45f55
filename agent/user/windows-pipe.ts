/**
 * The agent on Windows: named pipes in place of Unix sockets. All that differs is here, and none of it has been run on
 * Windows yet.
 *
 * Access control. Node (libuv) makes the pipe with the default security descriptor: full access for LocalSystem,
 * administrators and the user, and *read* access for everyone. Reading alone is not enough to ask an agent anything, since a
 * client must write first, and a pipe opened for reading only gets no request through; but it may hold a pipe instance.
 * libuv makes the first instance with FILE_FLAG_FIRST_PIPE_INSTANCE, so that a name that is already taken is an error and
 * not a shared pipe. It does not set PIPE_REJECT_REMOTE_CLIENTS: clients of the network are held off by the descriptor alone.
 * A descriptor of our own (`D:P(A;;GA;;;OW)(A;;GA;;;SY)`) needs a native call that Node does not offer.
 */

const PIPE_PREFIX = '\\\\.\\pipe\\';

/** One pipe for each user. Characters that a pipe name cannot hold are replaced. */
export function windowsPipePath(username: string): string {
  return `${PIPE_PREFIX}countersign-agent-${username.replaceAll(/[^\w.-]/g, '_')}`;
}

export function isPipePath(path: string): boolean {
  return path.startsWith(PIPE_PREFIX);
}
