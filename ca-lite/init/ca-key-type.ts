/** The kinds of SSH CA key that `init` makes. */

/** What `--key-type` takes. RSA is for CA keys that shall move into an HSM with SSH templates later. */
export const caKeyTypes = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-3072', 'rsa-4096'] as const;
export type CaKeyType = (typeof caKeyTypes)[number];
