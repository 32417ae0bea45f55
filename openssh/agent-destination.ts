/**
 * Destination constraints of agent keys: the contents of `restrict-destination-v00@openssh.com` (OpenSSH PROTOCOL.agent
 * section 2), both directions. What they allow is decided in the agent.
 * Refused on purpose: an empty list (it would mean "everywhere"), a user at the "from" hop, a hop with a host name and no
 * key or the reverse, unknown trailing fields, long user patterns (a denial of service once: OpenSSH 10f66b2af).
 * Host keys are kept as opaque blobs, so that a constraint may name kinds of key that we cannot verify: those never match.
 */
import { MAX_CERTIFICATE_LENGTH } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { type WireReader, WireWriter } from './wire.ts';

export const MAX_DESTINATION_CONSTRAINTS = 1024;
export const MAX_USER_PATTERN_LENGTH = 256;
const MAX_HOSTNAME_LENGTH = 1024;
const MAX_CONSTRAINT_LENGTH = 256 * 1024;

export interface HostKeySpec {
  readonly blob: Uint8Array;
  /** True: the key is a CA, and the host must show a certificate of it for `hostname`. */
  readonly isCa: boolean;
}
export interface DestinationHop {
  /** Pattern with `*` and `?` for the user at this hop; empty: any. */
  readonly user: string;
  /** Empty only for the origin, the machine the agent runs on. */
  readonly hostname: string;
  readonly keys: readonly HostKeySpec[];
}
export interface DestinationConstraint {
  readonly from: DestinationHop;
  readonly to: DestinationHop;
}

/** @param reader what follows the extension name @throws FormatError */
export function readDestinationConstraints(reader: WireReader): DestinationConstraint[] {
  const list = reader.nested(MAX_CONSTRAINT_LENGTH);
  const constraints: DestinationConstraint[] = [];
  while (list.remaining > 0) {
    if (constraints.length === MAX_DESTINATION_CONSTRAINTS)
      throw new FormatError('too-large', 'more than 1,024 destination constraints');
    constraints.push(readConstraint(list.nested(MAX_CONSTRAINT_LENGTH)));
  }
  if (constraints.length === 0) throw new FormatError('bad-value', 'an empty list of destinations');
  return constraints;
}

export function encodeDestinationConstraints(constraints: readonly DestinationConstraint[]): Uint8Array {
  const list = new WireWriter();
  for (const { from, to } of constraints) {
    list.string(new WireWriter().string(encodeHop(from)).string(encodeHop(to)).string('').finish());
  }
  return new WireWriter().string(list.finish()).finish();
}

function readConstraint(reader: WireReader): DestinationConstraint {
  const from = readHop(reader.nested(MAX_CONSTRAINT_LENGTH));
  const to = readHop(reader.nested(MAX_CONSTRAINT_LENGTH));
  reader.fixed(0); // reserved
  reader.end();
  if (from.user !== '') throw new FormatError('bad-value', 'a destination constraint names a user to come from');
  if ((from.hostname === '') !== (from.keys.length === 0))
    throw new FormatError('bad-value', 'a "from" host without keys, or keys without a host');
  if (to.hostname === '' || to.keys.length === 0)
    throw new FormatError('bad-value', 'a destination constraint without a destination');
  return { from, to };
}

function readHop(reader: WireReader): DestinationHop {
  const user = reader.text(MAX_USER_PATTERN_LENGTH);
  const hostname = reader.text(MAX_HOSTNAME_LENGTH);
  reader.fixed(0); // reserved
  const keys: HostKeySpec[] = [];
  while (reader.remaining > 0) {
    keys.push({ blob: reader.string(MAX_CERTIFICATE_LENGTH).slice(), isCa: reader.byte() !== 0 });
  }
  return { user, hostname, keys };
}

function encodeHop(hop: DestinationHop): Uint8Array {
  const writer = new WireWriter().string(hop.user).string(hop.hostname).string('');
  for (const { blob, isCa } of hop.keys) writer.string(blob).byte(isCa ? 1 : 0);
  return writer.finish();
}
