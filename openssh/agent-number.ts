/**
 * Numbers and bounds of the ssh-agent protocol (RFC 9987 section 7, and OpenSSH PROTOCOL.agent), in one table.
 * Numbers of the version-1 protocol are known by name so that the refusal is one on purpose.
 */

/** The longest message, without its length field; OpenSSH's AGENT_MAX_LEN. */
export const MAX_AGENT_MESSAGE_LENGTH = 256 * 1024;

/** Requests (RFC 9987 section 7.1). */
export const requestNumbers = {
  removeAllV1: 9,
  requestIdentities: 11,
  sign: 13,
  addIdentity: 17,
  removeIdentity: 18,
  removeAll: 19,
  addSmartcard: 20,
  removeSmartcard: 21,
  lock: 22,
  unlock: 23,
  addConstrained: 25,
  addSmartcardConstrained: 26,
  extension: 27,
} as const;

/** Replies (RFC 9987 section 7.1). */
export const replyNumbers = {
  failure: 5,
  success: 6,
  identities: 12,
  signature: 14,
  extensionFailure: 28,
  extensionResponse: 29,
} as const;

/** Flags of a sign request (RFC 9987 section 7.3); any other bit must make the request fail (section 5.6.1). */
export const signFlags = { rsaSha256: 0x02, rsaSha512: 0x04 } as const;

/** Key constraints (RFC 9987 section 7.2). */
export const constraintNumbers = { lifetime: 1, confirm: 2, extension: 255 } as const;

/** Extensions of OpenSSH (PROTOCOL.agent) and the one of RFC 9987 section 5.8.1. */
export const extensionNames = {
  query: 'query',
  sessionBind: 'session-bind@openssh.com',
  restrictDestination: 'restrict-destination-v00@openssh.com',
  associatedCerts: 'associated-certs-v00@openssh.com',
  skProvider: 'sk-provider@openssh.com',
} as const;
