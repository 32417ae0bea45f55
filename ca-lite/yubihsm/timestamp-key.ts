/**
 * The timestamp key: it vouches for the time, and with it for everything in a certificate that the device does not check.
 * It lives in a file, in another domain of the device, or in another device.
 *
 * Whoever holds it compares the timestamp with its own clock and signs none that is far off: that is what makes the
 * template's offsets mean anything.
 */
import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { signingFor } from './certificate-serial.ts';
import type { Priority } from './command-queue.ts';
import { getPublicKey, signPkcs1 } from './commands/asymmetric.ts';
import { timestampDigest, timestampMessage } from './commands/ssh-certificate.ts';
import type { Connector } from './connector.ts';
import { DevicePool } from './device-pool.ts';
import { HsmError } from './errors.ts';
import { type AuthenticationKeys, sameBytes } from './scp03.ts';
import { openSession, type Session } from './session.ts';
import type { SignatureLedger } from './signature-ledger.ts';

/** How far a timestamp may be from the holder's clock, in either direction. */
export const timestampToleranceSeconds = 300;

/** Signs timestamps. */
export interface TimestampKey extends AsyncDisposable {
  /** 256 bytes. */
  readonly modulus: Uint8Array;
  /** Signs a timestamp for this to-be-signed certificate; 256 bytes. Throws {@link HsmError}. */
  sign(
    tbs: Uint8Array,
    timestampSeconds: number,
    options: { priority: Priority; signal?: AbortSignal },
  ): Promise<Uint8Array>;
}

const signAsync = promisify(sign);

/** A timestamp key of a file: an RSA-2048 private key. Throws `bad-input` for any other. */
export function fileTimestampKey(key: KeyObject, nowSeconds: () => number): TimestampKey {
  const modulus = modulusOf(key);
  return {
    modulus,
    sign: async (tbs, timestampSeconds) => {
      checkTimestamp(timestampSeconds, nowSeconds());
      const options = { key, padding: constants.RSA_PKCS1_PADDING };
      return new Uint8Array(await signAsync('sha256', timestampMessage(tbs, timestampSeconds), options));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** A timestamp key in devices: who opens their sessions, and which key. */
export interface DeviceTimestampKey {
  /** Devices that hold the same key. */
  connectors: readonly Connector[];
  authKeyId: number;
  keys: AuthenticationKeys;
  keyId: number;
  /** Where the signatures made with a device are noted, when its log is read as well. */
  ledgerOf?: (connector: Connector) => SignatureLedger | undefined;
}

/**
 * A timestamp key that is an RSA-2048 key of devices, in sessions of its own. Disposing closes the sessions. Throws
 * {@link HsmError} when no device answers, `bad-input` for another kind of key.
 */
export async function openDeviceTimestampKey(
  settings: DeviceTimestampKey,
  nowSeconds: () => number,
): Promise<TimestampKey> {
  const { connectors, authKeyId, keys, keyId } = settings;
  const modulus = await readFirstModulus(settings);
  const devices = connectors.map((connector) => {
    const ledger = settings.ledgerOf?.(connector);
    return { connector, authKeyId, keys, ...(ledger && { ledger }) };
  });
  const check = async (session: Session): Promise<void> => {
    if (!sameBytes(await readModulus(session, keyId), modulus)) {
      throw new HsmError('key-mismatch', `the timestamp key ${keyId} of this device is another one`);
    }
  };
  const pool = new DevicePool({ devices, check });
  return {
    modulus,
    sign: async (tbs, timestampSeconds, options) => {
      checkTimestamp(timestampSeconds, nowSeconds());
      const command = signPkcs1(keyId, timestampDigest(tbs, timestampSeconds));
      return pool.execute(signingFor(command, tbs), options);
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

async function readFirstModulus({ connectors, authKeyId, keys, keyId }: DeviceTimestampKey): Promise<Uint8Array> {
  const failures: unknown[] = [];
  for (const connector of connectors) {
    try {
      await using session = await openSession({ connector, authKeyId, keys });
      return await readModulus(session, keyId);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

async function readModulus(session: Session, keyId: number): Promise<Uint8Array> {
  const { kind, bytes } = await session.execute(getPublicKey(keyId));
  if (kind !== 'rsa2048') throw wrongKind();
  return bytes;
}

/** Reads a private key in PEM; a passphrase is for encrypted ones. Throws `bad-input`. */
export function parseTimestampKey(pem: string, passphrase?: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    throw new HsmError('bad-input', 'the timestamp key is not a private key in PEM, or its passphrase is wrong', {
      cause: error,
    });
  }
}

function modulusOf(key: KeyObject): Uint8Array {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  const modulus =
    jwk.kty === 'RSA' && jwk.e === 'AQAB' ? new Uint8Array(Buffer.from(jwk.n ?? '', 'base64url')) : undefined;
  if (modulus?.length !== 256) {
    throw wrongKind();
  }
  return modulus;
}

function checkTimestamp(timestampSeconds: number, nowSeconds: number): void {
  if (Math.abs(timestampSeconds - nowSeconds) > timestampToleranceSeconds) {
    throw new HsmError('template-violation', "the timestamp is too far from the time of the timestamp key's holder");
  }
}

function wrongKind(): HsmError {
  return new HsmError('bad-input', 'the timestamp key must be RSA with 2048 bits and the exponent 65537');
}
