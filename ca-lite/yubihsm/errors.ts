/**
 * Every way in which the YubiHSM client can fail, as one error class with stable codes.
 *
 * The numbers of device errors follow libyubihsm (`lib/yubihsm.c`) and Yubico's "Errors" page; some other clients number
 * 0x0d to 0x10 differently. Nothing that a device or connector sent is quoted in a message.
 */

/** Stable codes of {@link HsmError}. Those that begin with `device-` are the device's own refusals. */
export type HsmErrorCode =
  | DeviceErrorCode
  /** The connector cannot be reached, or the connection broke. Nothing is known of a command under way. */
  | 'connector-unreachable'
  /** The connector answered with an HTTP status other than 200. */
  | 'connector-failed'
  /** The connector has no device. */
  | 'connector-no-device'
  /** An answer is longer than it may be, cut short, or not of the form that the command has. */
  | 'answer-malformed'
  /** The MAC of an answer is wrong: somebody between us and the device changes messages, or the session is mixed up. */
  | 'answer-mac-mismatch'
  /** The device says that the MAC of our message is wrong: another client has the session's slot, or the message was changed. */
  | 'message-mac-refused'
  /** The device did not prove that it knows the authentication key: not our device, or a wrong password. */
  | 'not-our-device'
  /** The session ended; the command was not executed. */
  | 'session-lost'
  /** The connection broke after the command was sent: the device may have executed it. */
  | 'outcome-unknown'
  /** The command is too long for the device's firmware. */
  | 'message-too-long'
  /** The queue in front of the device is full. */
  | 'overloaded'
  /** The device did not come back before the caller's deadline, or the signer is closed. */
  | 'unavailable'
  /** The device's key is not the key that the configuration names. */
  | 'key-mismatch'
  /** The certificate cannot be signed under the template, as far as the template itself tells. */
  | 'template-violation'
  /** The audit log's chain is broken, or entries are missing. */
  | 'log-chain-broken'
  /** The audit log has a signature by a CA key that this CA did not ask for. */
  | 'log-signature-unknown'
  /** A backup, share, password or setting that a person gave does not fit. */
  | 'bad-input'
  /** A device that was to be set up, restored or checked is not in the state that it must be in. */
  | 'unexpected-state';

/** The refusals of the device itself. */
export type DeviceErrorCode = (typeof deviceErrors)[number][1];

const deviceErrors = [
  [0x01, 'device-invalid-command', 'the device does not know this command'],
  [0x02, 'device-invalid-data', 'the device does not accept the data of this command'],
  [0x03, 'device-invalid-session', 'the session is not valid any more'],
  [0x04, 'device-authentication-failed', 'wrong password, or the message failed its authentication'],
  [0x05, 'device-sessions-full', 'all 16 sessions of the device are in use'],
  [0x06, 'device-session-failed', 'the device could not create the session'],
  [0x07, 'device-storage-failed', 'the device could not store the object: is it full?'],
  [0x08, 'device-wrong-length', 'the length of the message is wrong'],
  [0x09, 'device-insufficient-permissions', 'the authentication key or the object lacks a capability'],
  [0x0a, 'device-log-full', 'the audit log is full and forced: read and free it first'],
  [0x0b, 'device-object-not-found', 'there is no such object in the domains of this authentication key'],
  [0x0c, 'device-invalid-id', 'the object id is not allowed here'],
  [0x0e, 'device-ssh-constraint-violation', 'the SSH template forbids this certificate'],
  [0x0f, 'device-invalid-otp', 'the one-time password is wrong'],
  [0x10, 'device-demo-mode', 'the device is in demo mode'],
  [0x11, 'device-object-exists', 'an object with this id and type exists'],
  [0x12, 'device-algorithm-disabled', 'the algorithm is switched off on this device'],
  [0x00, 'device-unknown-error', 'the device answered with an error number that nobody has published'],
  [0xff, 'device-command-unexecuted', 'the device did not execute the command'],
] as const;
const unknownError = deviceErrors[17];

/** A failure of the YubiHSM client, the connector or the device. */
export class HsmError extends Error {
  readonly code: HsmErrorCode;

  constructor(code: HsmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HsmError';
    this.code = code;
  }
}

/** A refusal of the device, with the command that it refused. */
export class HsmDeviceError extends HsmError {
  /** The device's error byte. */
  readonly deviceCode: number;
  /** The command's name, such as `SIGN ECDSA`. */
  readonly command: string;

  constructor(deviceCode: number, command: string, detail = '') {
    const [, code, text] = deviceErrors.find(([number]) => number === deviceCode) ?? unknownError;
    super(code, `${command}: ${text} (0x${deviceCode.toString(16).padStart(2, '0')})${detail}`);
    this.name = 'HsmDeviceError';
    this.deviceCode = deviceCode;
    this.command = command;
  }
}

/** The queue is full. `retryAfterSeconds` (whole, at least 1) is the time in which the present queue drains. */
export class HsmOverloadedError extends HsmError {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('overloaded', `the signer's queue is full; it drains in about ${retryAfterSeconds} s: try again then`);
    this.name = 'HsmOverloadedError';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Says whether an error is an {@link HsmError} with one of the codes. */
export function isHsmError(error: unknown, ...codes: HsmErrorCode[]): error is HsmError {
  return error instanceof HsmError && (codes.length === 0 || codes.includes(error.code));
}
