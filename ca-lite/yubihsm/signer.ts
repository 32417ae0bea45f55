/**
 * The CA's signer on YubiHSM devices, in both ways: plain (Ed25519, ECDSA, RSA) and under an SSH template (RSA). Every
 * signature is verified with the public key before it leaves.
 *
 * Refused on purpose: a template signature over a certificate that the template does not take under every reading of it.
 */
import { FormatError } from '#openssh/format-error.ts';
import { decodeSignature, type Signature, verifySignature } from '#openssh/signature.ts';
import { type Signer, SignerError, type SignOptions } from '../signer/signer.ts';
import { signingFor } from './certificate-serial.ts';
import { compareFirmware } from './commands/device.ts';
import {
  signSshCertificate,
  sshCertificateOverhead,
  type TemplateSignatureAlgorithm,
} from './commands/ssh-certificate.ts';
import type { DevicePool } from './device-pool.ts';
import { HsmError } from './errors.ts';
import { safeDataOldFirmware } from './frame.ts';
import type { KnownKey } from './hsm.ts';
import { plainSignature, plainSignCommand } from './plain-signature.ts';
import { toSignerError } from './signer-error.ts';
import { timestampFor } from './template-check.ts';

const defaultMaxBackdateSeconds = 120;

interface Signing {
  pool: DevicePool;
  key: KnownKey;
  nowSeconds: () => number;
  data: Uint8Array;
  options: SignOptions;
}

/** A signer with one key of a pool. It owns nothing: the pool is closed by who opened it. */
export function hsmSigner(pool: DevicePool, key: KnownKey, nowSeconds: () => number): Signer {
  const make = key.template ? signUnderTemplate : signPlainly;
  return {
    publicKey: key.publicKey,
    algorithm: key.algorithm,
    async sign(data, options) {
      try {
        const signature = await make({ pool, key, nowSeconds, data, options });
        if (signature.algorithm !== key.algorithm || !verifySignature(key.publicKey, data, signature)) throw invalid();
        return signature;
      } catch (error) {
        throw toSignerError(error, options.signal);
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function signPlainly({ pool, key, data, options }: Signing): Promise<Signature> {
  const { keyId, kind, algorithm } = key;
  if (kind === 'ed25519') checkLength(pool, data.length + 2);
  const command = signingFor(plainSignCommand(keyId, kind, algorithm, data), data);
  const answer = await pool.execute(command, options);
  return plainSignature(kind, algorithm, answer);
}

async function signUnderTemplate({ pool, key, nowSeconds, data, options }: Signing): Promise<Signature> {
  const { templateId, timestampKey, content, maxBackdateSeconds = defaultMaxBackdateSeconds } = key.template!;
  checkLength(pool, data.length + sshCertificateOverhead);
  const timestampSeconds = timestampFor(data, {
    template: content,
    caKeyId: key.keyId,
    caKey: key.publicKey,
    nowSeconds: nowSeconds(),
    maxBackdateSeconds,
  });
  const timestampSignature = await timestampKey.sign(data, timestampSeconds, options);
  const algorithm = key.algorithm as TemplateSignatureAlgorithm;
  const request = { keyId: key.keyId, templateId, algorithm, timestampSeconds, timestampSignature, tbs: data };
  const command = signingFor(signSshCertificate(request), data);
  return decodeBlob(await pool.execute(command, options));
}

function decodeBlob(blob: Uint8Array): Signature {
  try {
    return decodeSignature('ssh-rsa', blob);
  } catch (error) {
    if (error instanceof FormatError) throw invalid();
    throw error;
  }
}

/** Refuses what a device with old firmware cannot take, before it costs a place in the queue. */
function checkLength(pool: DevicePool, length: number): void {
  const old = pool.devices.some(({ info }) => info && compareFirmware(info.firmware, [2, 4]) < 0);
  if (old && length > safeDataOldFirmware) {
    throw new HsmError('message-too-long', `firmware before 2.4 takes ${safeDataOldFirmware} bytes, not ${length}`);
  }
}

function invalid(): SignerError {
  return new SignerError('signature-invalid', "the device's signature does not verify with the CA key: it was dropped");
}
