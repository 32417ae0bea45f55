/**
 * Proves that a device signs as it should, with the signer's own authentication key and through the signer's own code:
 * what the CA will do when it serves. The signatures are over nothing that anybody could use.
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { encodeToBeSigned } from '#openssh/certificate.ts';
import { type PublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import type { Connector } from '../connector.ts';
import { type HsmKeySettings, openHsm } from '../hsm.ts';
import { keysFromPassword } from '../scp03.ts';
import { fileTimestampKey, openDeviceTimestampKey, type TimestampKey } from '../timestamp-key.ts';
import { type HsmPlan, objectIds, type TemplatePlan } from './plan.ts';

/** What is proven, and with what. */
export interface ProofOptions {
  connector: Connector;
  plan: HsmPlan;
  passwords: { signer: string; timekeeper: string };
  /** The timestamp key, when it lives in a file. */
  timestampKey: KeyObject | undefined;
  caKeys: { userCa: PublicKey; hostCa: PublicKey };
  nowSeconds: () => number;
}

/** Signs once with each CA key. Throws what a signer throws, and HsmError when a device is not what it should be. */
export async function proveSigning(options: ProofOptions): Promise<void> {
  const { connector, nowSeconds, plan, caKeys } = options;
  const signerKeys = await keysFromPassword(options.passwords.signer);
  const devices = [{ connector, authKeyId: objectIds.signer, keys: signerKeys }];
  for (const name of ['userCa', 'hostCa'] as const) {
    const keys = [await keySettings(name, options)];
    await using hsm = await openHsm({ devices, keys, nowSeconds });
    const data = plan.way === 'plain' ? noCertificate() : inertCertificate(name, caKeys[name], plan, nowSeconds());
    await hsm.signer(objectIds[name]).sign(data, { priority: 'user' });
  }
}

async function keySettings(name: 'userCa' | 'hostCa', options: ProofOptions): Promise<HsmKeySettings> {
  const key = { keyId: objectIds[name], publicKey: options.caKeys[name] };
  if (options.plan.way === 'plain') return key;
  const templateId = objectIds[name === 'userCa' ? 'userTemplate' : 'hostTemplate'];
  return { ...key, template: { templateId, timestampKey: await openTimestampKey(options) } };
}

async function openTimestampKey(options: ProofOptions): Promise<TimestampKey> {
  const { connector, timestampKey, passwords, nowSeconds } = options;
  if (timestampKey !== undefined) return fileTimestampKey(timestampKey, nowSeconds);
  const keys = await keysFromPassword(passwords.timekeeper);
  const where = { connectors: [connector], authKeyId: objectIds.timekeeper, keyId: objectIds.timestamp };
  return openDeviceTimestampKey({ ...where, keys }, nowSeconds);
}

/** Bytes that are no certificate and no other message of SSH. */
function noCertificate(): Uint8Array {
  return Buffer.concat([Buffer.from('countersign hsm proof '), randomBytes(16)]);
}

/**
 * A certificate for a key that nobody has, valid for a second, for an account that does not exist. The key is Ed25519: that a
 * device takes others than RSA keys under a template is not published, and here it shows.
 */
function inertCertificate(
  name: 'userCa' | 'hostCa',
  signatureKey: PublicKey,
  plan: TemplatePlan,
  nowSeconds: number,
): Uint8Array {
  const validAfter = BigInt(nowSeconds + plan.notBeforeOffsetSeconds);
  return encodeToBeSigned({
    key: publicKeyFromObject(generateKeyPairSync('ed25519').publicKey),
    type: name === 'userCa' ? 'user' : 'host',
    serial: 1n,
    keyId: 'countersign hsm proof',
    principals: ['countersign-hsm-proof.invalid'],
    validAfter,
    validBefore: validAfter + 1n,
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(randomBytes(32)),
    signatureKey,
  });
}
