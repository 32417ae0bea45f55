/** The texts that more than one message holds, each with its bound. Schemas check the shape; what is inside is decoded strictly. */
import { Type } from 'typebox';

/** Lower-case LDH labels, at least one, 253 characters at most (RFC 1123 section 2.1, RFC 1035 section 2.3.4). */
export const HostName = Type.String({
  pattern: '^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$',
  description: 'a host name in lower case, without a final full stop',
});

/** The longest text of an IPv6 address has 45 characters; the value itself is parsed strictly later. */
export const IpAddress = Type.String({ pattern: '^[0-9a-fA-F.:]{2,45}$', description: 'an IPv4 or IPv6 address' });

export const FingerprintText = Type.String({
  pattern: '^SHA256:[A-Za-z0-9+/]{43}$',
  description: 'a key fingerprint as `ssh-keygen -l` prints it',
});

/** Standard base64 with padding; 256 KiB of text is far beyond every message of ours. */
export const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$', maxLength: 256 * 1024 });

/** Hex of SHA-256 over a certificate's DER, as step clients write it. */
export const HexFingerprint = Type.String({ pattern: '^[0-9a-fA-F]{64}$' });
