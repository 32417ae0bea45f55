/**
 * What a command of the YubiHSM is to the session that sends it: a number, the bytes of the request, and how its answer
 * is read. The other files of this directory make them; encode stands beside decode there.
 */
import { HsmError } from '../errors.ts';
import type { Capability } from '../capabilities.ts';

/** The number of each command that is used here, by the name that Yubico gives it. */
export const commandNumbers = {
  ECHO: 0x01,
  'GET DEVICE INFO': 0x06,
  'RESET DEVICE': 0x08,
  'CLOSE SESSION': 0x40,
  'GET STORAGE INFO': 0x41,
  'PUT OPAQUE': 0x42,
  'GET OPAQUE': 0x43,
  'PUT AUTHENTICATION KEY': 0x44,
  'PUT ASYMMETRIC KEY': 0x45,
  'GENERATE ASYMMETRIC KEY': 0x46,
  'SIGN PKCS1': 0x47,
  'LIST OBJECTS': 0x48,
  'EXPORT WRAPPED': 0x4a,
  'IMPORT WRAPPED': 0x4b,
  'PUT WRAP KEY': 0x4c,
  'GET LOG ENTRIES': 0x4d,
  'GET OBJECT INFO': 0x4e,
  'SET OPTION': 0x4f,
  'GET OPTION': 0x50,
  'GET PSEUDO RANDOM': 0x51,
  'GET PUBLIC KEY': 0x54,
  'SIGN ECDSA': 0x56,
  'DELETE OBJECT': 0x58,
  'GENERATE WRAP KEY': 0x5b,
  'SIGN SSH CERTIFICATE': 0x5d,
  'PUT TEMPLATE': 0x5e,
  'GET TEMPLATE': 0x5f,
  'SIGN ATTESTATION CERTIFICATE': 0x64,
  'SET LOG INDEX': 0x67,
  'SIGN EDDSA': 0x6a,
  'BLINK DEVICE': 0x6b,
  'CHANGE AUTHENTICATION KEY': 0x6c,
} as const;

/** A command's name. */
export type CommandName = keyof typeof commandNumbers;

/**
 * What a command does to the device, which decides whether it may be sent again when its answer was lost: `read` always,
 * `sign` when nothing points to an attack, `change` only when it is certain that it was not executed.
 */
export type Effect = 'read' | 'sign' | 'change';

/** One command, ready to be sent. */
export interface Command<T> {
  readonly name: CommandName;
  readonly effect: Effect;
  readonly data: Uint8Array;
  /** The capabilities that the authentication key must have, for errors that tell what is missing. */
  readonly needs: readonly Capability[];
  /** Of a command that signs: the serial of the certificate that it is for. */
  readonly serial?: bigint;
  /** Reads the data of the answer; throws {@link HsmError} `answer-malformed`. */
  readonly decode: (answer: Uint8Array) => T;
}

/** Reads an answer that has no data. */
export function decodeNothing(answer: Uint8Array): void {
  if (answer.length !== 0)
    throw new HsmError('answer-malformed', 'answer of the device: malformed (it should be empty)');
}
