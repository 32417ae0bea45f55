/** Types of the `bcrypt-pbkdf` package, which brings none. */
declare module 'bcrypt-pbkdf' {
  /** Fills `key`; returns 0, or -1 for an empty argument or a bad count. */
  export function pbkdf(
    passphrase: Uint8Array,
    passphraseLength: number,
    salt: Uint8Array,
    saltLength: number,
    key: Uint8Array,
    keyLength: number,
    rounds: number,
  ): number;
}
