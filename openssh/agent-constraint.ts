/**
 * Constraints on a key that is added to an agent (RFC 9987 section 5.2.7, OpenSSH PROTOCOL.agent sections 2 and 3).
 * Refused on purpose: every constraint that is not known here (CVE-2026-39832: an ignored constraint is a lifted one), a
 * constraint given twice, and `associated-certs-v00@openssh.com`, which belongs to PKCS#11 tokens, which are refused too.
 */
import {
  type DestinationConstraint,
  encodeDestinationConstraints,
  readDestinationConstraints,
} from './agent-destination.ts';
import { constraintNumbers, extensionNames } from './agent-number.ts';
import { FormatError } from './format-error.ts';
import { type WireReader, WireWriter } from './wire.ts';

const MAX_EXTENSION_NAME_LENGTH = 128;
const MAX_PROVIDER_LENGTH = 4096;

export interface KeyConstraints {
  /** Seconds from the moment of adding. */
  readonly lifetimeSeconds?: number;
  /** Ask the user at each use. */
  readonly confirm?: boolean;
  /** Never empty. */
  readonly destinations?: readonly DestinationConstraint[];
  /** Middleware of a security key: `internal` or the path of a library. */
  readonly skProvider?: string;
}

/** Reads all that is left as constraints. @throws FormatError */
export function readConstraints(reader: WireReader): KeyConstraints {
  const constraints: { -readonly [K in keyof KeyConstraints]: KeyConstraints[K] } = {};
  const set = <K extends keyof KeyConstraints>(name: K, value: KeyConstraints[K]): void => {
    if (constraints[name] !== undefined) throw new FormatError('bad-value', 'a constraint is given twice');
    constraints[name] = value;
  };
  while (reader.remaining > 0) {
    const number = reader.byte();
    if (number === constraintNumbers.lifetime) set('lifetimeSeconds', reader.uint32());
    else if (number === constraintNumbers.confirm) set('confirm', true);
    else if (number === constraintNumbers.extension) {
      const name = reader.text(MAX_EXTENSION_NAME_LENGTH);
      if (name === extensionNames.restrictDestination) set('destinations', readDestinationConstraints(reader));
      else if (name === extensionNames.skProvider) set('skProvider', reader.text(MAX_PROVIDER_LENGTH));
      else throw new FormatError('unsupported-algorithm', 'an unknown constraint');
    } else throw new FormatError('unsupported-algorithm', 'an unknown constraint');
  }
  return constraints;
}

/** All constraints, so that none is lost on the way to another agent (CVE-2026-39832). */
export function encodeConstraints(constraints: KeyConstraints): Uint8Array {
  const writer = new WireWriter();
  const { lifetimeSeconds, confirm, destinations, skProvider } = constraints;
  if (lifetimeSeconds !== undefined) writer.byte(constraintNumbers.lifetime).uint32(lifetimeSeconds);
  if (confirm === true) writer.byte(constraintNumbers.confirm);
  if (skProvider !== undefined)
    writer.byte(constraintNumbers.extension).string(extensionNames.skProvider).string(skProvider);
  if (destinations !== undefined)
    writer
      .byte(constraintNumbers.extension)
      .string(extensionNames.restrictDestination)
      .raw(encodeDestinationConstraints(destinations));
  return writer.finish();
}
