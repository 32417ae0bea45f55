/**
 * The one error of this room: bytes or text from outside that are not what their specification says.
 * A caller's own mistake is a TypeError; a refusal by policy is a value, never an error.
 */

/** Stable reasons, for code to branch on. The message is for people and never repeats foreign bytes. */
export type FormatErrorCode =
  | 'truncated' // the input ends inside a field
  | 'trailing-data' // the input goes on after its last field
  | 'too-large' // a length exceeds its named bound
  | 'bad-value' // a field has a value that its specification forbids
  | 'bad-base64'
  | 'bad-armor' // PEM or SSHSIG armor is damaged
  | 'unsupported-algorithm' // well formed, but an algorithm that is unknown or refused on purpose
  | 'unsupported-feature' // well formed, but holds something that must be understood and is not
  | 'wrong-passphrase'
  | 'passphrase-needed';

export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;

  constructor(code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
