/**
 * Has a device attest its new CA keys, and keeps what it said: made in this device, never imported. Asked for before the proof of the restore,
 * since a key that went through a backup is "imported under wrap" for ever, also in the device that made it.
 *
 * An Ed25519 key cannot be attested, and a device may be unable to for reasons of its own: a set-up goes on without.
 */
import { X509Certificate } from 'node:crypto';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import { type Attestation, leadsTo, readAttestation, verifyAttestation } from '../attestation.ts';
import { signAttestationCertificate } from '../commands/asymmetric.ts';
import { builtInCertificate, getOpaque } from '../commands/opaque.ts';
import { HsmError, isHsmError } from '../errors.ts';
import { sameBytes } from '../scp03.ts';
import type { Session } from '../session.ts';
import { type HsmPlan, objectIds } from './plan.ts';

/** What a device said of the CA keys, and the certificate that it came with. */
export interface KeptAttestations {
  readonly userCa: Attestation;
  readonly hostCa: Attestation;
  readonly device: X509Certificate;
}

/** Asks the device. Undefined when it cannot attest these keys. Throws {@link HsmError} when it says something else than it should. */
export async function attestKeys(session: Session, plan: HsmPlan): Promise<KeptAttestations | undefined> {
  if (plan.kind === 'ed25519') return undefined;
  try {
    const kept = {
      userCa: readAttestation(await session.execute(signAttestationCertificate(objectIds.userCa))),
      hostCa: readAttestation(await session.execute(signAttestationCertificate(objectIds.hostCa))),
      device: new X509Certificate(await session.execute(getOpaque(builtInCertificate))),
    };
    for (const each of [kept.userCa, kept.hostCa]) demandMadeHere(each, kept.device);
    return kept;
  } catch (error) {
    if (isHsmError(error) && error.code.startsWith('device-')) return undefined;
    throw error;
  }
}

function demandMadeHere(attestation: Attestation, device: X509Certificate): void {
  const { origin } = attestation;
  const madeHere = origin.generated && !origin.imported && !origin.importedUnderWrap;
  if (madeHere && verifyAttestation(attestation, device) === undefined) return;
  throw new HsmError('unexpected-state', 'the device does not attest that it made the CA keys itself');
}

/** As a file: the user CA's, the host CA's and the device's certificate in PEM. */
export function formatAttestations({ userCa, hostCa, device }: KeptAttestations): string {
  return [userCa.certificate, hostCa.certificate, device].map(String).join('');
}

/** Reads such a file. Throws {@link HsmError} `bad-input`. */
export function parseAttestations(text: string): KeptAttestations {
  const [userCa, hostCa, device, ...more] = parseCertificates(text);
  if (userCa === undefined || hostCa === undefined || device === undefined || more.length > 0) {
    throw new HsmError('bad-input', 'a file of attestations has three certificates: user CA, host CA, device');
  }
  return { userCa: readAttestation(userCa.raw), hostCa: readAttestation(hostCa.raw), device };
}

/** All certificates of a PEM file. Throws {@link HsmError} `bad-input`. */
export function parseCertificates(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new HsmError('bad-input', 'a certificate in the file cannot be read', { cause });
  }
}

/** What attestations prove about the keys that the CA has. */
export interface AttestedState {
  /** `wrong`: the attested keys are not these, or the attestations are not the device's. */
  readonly verdict: 'made-in-device' | 'wrong';
  /** Of the device that made the keys. */
  readonly serial: number;
  /** Whether a chain leads to the vendor; undefined when nobody gave the vendor's certificates. */
  readonly vendor: boolean | undefined;
}

/** Holds attestations against the CA keys of a device. */
export function judgeAttestations(
  kept: KeptAttestations,
  keys: { readonly userCa: PublicKey; readonly hostCa: PublicKey },
  vendor: readonly X509Certificate[] | undefined,
): AttestedState {
  const names = ['userCa', 'hostCa'] as const;
  const right = names.every((name) => {
    const { publicKey, origin } = kept[name];
    const same = sameBytes(encodePublicKey(publicKey), encodePublicKey(keys[name]));
    const madeThere = origin.generated && !origin.imported && !origin.importedUnderWrap;
    return same && madeThere && verifyAttestation(kept[name], kept.device) === undefined;
  });
  return {
    verdict: right ? 'made-in-device' : 'wrong',
    serial: kept.userCa.serial,
    vendor: vendor === undefined ? undefined : leadsTo(kept.device, vendor),
  };
}
