/**
 * The simulator's own tables of the YubiHSM's numbers. They are typed in a second time on purpose: the client's tables
 * are not used here, so that a mistake in one of the two shows.
 */

export const errorNumbers = {
  invalidCommand: 0x01,
  invalidData: 0x02,
  invalidSession: 0x03,
  authenticationFailed: 0x04,
  sessionsFull: 0x05,
  storageFailed: 0x07,
  wrongLength: 0x08,
  insufficientPermissions: 0x09,
  logFull: 0x0a,
  objectNotFound: 0x0b,
  invalidId: 0x0c,
  sshConstraintViolation: 0x0e,
  objectExists: 0x11,
} as const;

/** A refusal of the device. */
export class Refusal extends Error {
  readonly number: number;

  constructor(reason: keyof typeof errorNumbers) {
    super(reason);
    this.name = 'Refusal';
    this.number = errorNumbers[reason];
  }
}

export const types = {
  opaque: 1,
  authenticationKey: 2,
  asymmetricKey: 3,
  wrapKey: 4,
  hmacKey: 5,
  template: 6,
} as const;

export const capability = {
  getOpaque: 0,
  putOpaque: 1,
  putAuthenticationKey: 2,
  putAsymmetricKey: 3,
  generateAsymmetricKey: 4,
  signPkcs: 5,
  signPss: 6,
  signEcdsa: 7,
  signEddsa: 8,
  exportWrapped: 12,
  importWrapped: 13,
  putWrapKey: 14,
  generateWrapKey: 15,
  exportableUnderWrap: 16,
  setOption: 17,
  getOption: 18,
  getPseudoRandom: 19,
  putMacKey: 20,
  generateHmacKey: 21,
  signHmac: 22,
  verifyHmac: 23,
  getLogEntries: 24,
  signSshCertificate: 25,
  getTemplate: 26,
  putTemplate: 27,
  resetDevice: 28,
  signAttestationCertificate: 34,
  deleteOpaque: 39,
  deleteAuthenticationKey: 40,
  deleteAsymmetricKey: 41,
  deleteWrapKey: 42,
  deleteHmacKey: 43,
  deleteTemplate: 44,
  changeAuthenticationKey: 46,
} as const;

export type CapabilityName = keyof typeof capability;

/** Every bit that a capability has on a device: 0x00 to 0x37. */
export const everyCapability = (1n << 56n) - 1n;

/** The bit of a capability. */
export function bit(name: CapabilityName): bigint {
  return 1n << BigInt(capability[name]);
}

export const commandNumber = {
  echo: 0x01,
  createSession: 0x03,
  authenticateSession: 0x04,
  sessionMessage: 0x05,
  deviceInfo: 0x06,
  resetDevice: 0x08,
  closeSession: 0x40,
  storageInfo: 0x41,
  putOpaque: 0x42,
  getOpaque: 0x43,
  putAuthenticationKey: 0x44,
  putAsymmetricKey: 0x45,
  generateAsymmetricKey: 0x46,
  signPkcs1: 0x47,
  listObjects: 0x48,
  exportWrapped: 0x4a,
  importWrapped: 0x4b,
  putWrapKey: 0x4c,
  getLogEntries: 0x4d,
  getObjectInfo: 0x4e,
  setOption: 0x4f,
  getOption: 0x50,
  getPseudoRandom: 0x51,
  putHmacKey: 0x52,
  signHmac: 0x53,
  getPublicKey: 0x54,
  signPss: 0x55,
  signEcdsa: 0x56,
  deleteObject: 0x58,
  generateHmacKey: 0x5a,
  generateWrapKey: 0x5b,
  verifyHmac: 0x5c,
  signSshCertificate: 0x5d,
  putTemplate: 0x5e,
  getTemplate: 0x5f,
  signAttestationCertificate: 0x64,
  setLogIndex: 0x67,
  signEddsa: 0x6a,
  blink: 0x6b,
  changeAuthenticationKey: 0x6c,
} as const;

/** Every command whose audit can be set: those above, and those that the simulator does not do. */
export const auditable: readonly number[] = Object.values<number>(commandNumber)
  .concat(0x0a, 0x49, 0x57, 0x59, 0x60, 0x61, 0x62, 0x63, 0x65, 0x66, 0x68, 0x69)
  .concat(0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77)
  .toSorted((a, b) => a - b);

/** Algorithms that the simulator can hold keys of. */
export const algorithm = {
  rsa2048: 9,
  rsa3072: 10,
  rsa4096: 11,
  p256: 12,
  p384: 13,
  p521: 14,
  ed25519: 46,
  aes128Wrap: 29,
  aes192Wrap: 41,
  aes256Wrap: 42,
  opaqueData: 30,
  opaqueX509: 31,
  templateSsh: 36,
  authentication: 38,
} as const;

/** What GET DEVICE INFO lists: the above, and the signature algorithms that go with them. */
export const listedAlgorithms = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 19, 20, 21, 22, 23, 29, 30, 31, 32, 33, 34, 35, 36, 38, 41, 42, 43, 44,
  45, 46,
];
