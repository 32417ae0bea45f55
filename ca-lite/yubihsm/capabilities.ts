/**
 * Capabilities: an 8-byte bitmap that says what an authentication key may do and what an object may be used for
 * (`lib/yubihsm.h`, `yh_capability`; Yubico, "Capability"). The names are those of `yubihsm-shell`.
 */

const bits = {
  'get-opaque': 0x00,
  'put-opaque': 0x01,
  'put-authentication-key': 0x02,
  'put-asymmetric-key': 0x03,
  'generate-asymmetric-key': 0x04,
  'sign-pkcs': 0x05,
  'sign-pss': 0x06,
  'sign-ecdsa': 0x07,
  'sign-eddsa': 0x08,
  'decrypt-pkcs': 0x09,
  'decrypt-oaep': 0x0a,
  'derive-ecdh': 0x0b,
  'export-wrapped': 0x0c,
  'import-wrapped': 0x0d,
  'put-wrap-key': 0x0e,
  'generate-wrap-key': 0x0f,
  'exportable-under-wrap': 0x10,
  'set-option': 0x11,
  'get-option': 0x12,
  'get-pseudo-random': 0x13,
  'put-mac-key': 0x14,
  'generate-hmac-key': 0x15,
  'sign-hmac': 0x16,
  'verify-hmac': 0x17,
  'get-log-entries': 0x18,
  'sign-ssh-certificate': 0x19,
  'get-template': 0x1a,
  'put-template': 0x1b,
  'reset-device': 0x1c,
  'decrypt-otp': 0x1d,
  'create-otp-aead': 0x1e,
  'randomize-otp-aead': 0x1f,
  'rewrap-from-otp-aead-key': 0x20,
  'rewrap-to-otp-aead-key': 0x21,
  'sign-attestation-certificate': 0x22,
  'put-otp-aead-key': 0x23,
  'generate-otp-aead-key': 0x24,
  'wrap-data': 0x25,
  'unwrap-data': 0x26,
  'delete-opaque': 0x27,
  'delete-authentication-key': 0x28,
  'delete-asymmetric-key': 0x29,
  'delete-wrap-key': 0x2a,
  'delete-hmac-key': 0x2b,
  'delete-template': 0x2c,
  'delete-otp-aead-key': 0x2d,
  'change-authentication-key': 0x2e,
  'put-symmetric-key': 0x2f,
  'generate-symmetric-key': 0x30,
  'delete-symmetric-key': 0x31,
  'decrypt-ecb': 0x32,
  'encrypt-ecb': 0x33,
  'decrypt-cbc': 0x34,
  'encrypt-cbc': 0x35,
  'put-public-wrap-key': 0x36,
  'delete-public-wrap-key': 0x37,
} as const;

/** A capability's name. */
export type Capability = keyof typeof bits;

/** A set of capabilities as the device writes it. */
export type CapabilityBits = bigint;

/** Every capability that has a name. */
export const allCapabilities = Object.keys(bits) as Capability[];

/** The bitmap of some capabilities. */
export function capabilityBits(...capabilities: readonly Capability[]): CapabilityBits {
  return capabilities.reduce((set, capability) => set | (1n << BigInt(bits[capability])), 0n);
}

/** The names in a bitmap, in the order of the bits; bits without a name are left out. */
export function capabilityNames(set: CapabilityBits): Capability[] {
  return allCapabilities.filter((capability) => hasCapability(set, capability));
}

/** Says whether the bitmap holds the capability. */
export function hasCapability(set: CapabilityBits, capability: Capability): boolean {
  return (set & (1n << BigInt(bits[capability]))) !== 0n;
}

/** The capabilities that are wanted and not there. */
export function missingCapabilities(set: CapabilityBits, wanted: readonly Capability[]): Capability[] {
  return wanted.filter((capability) => !hasCapability(set, capability));
}
