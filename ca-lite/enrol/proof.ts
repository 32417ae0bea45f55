/** The host's proof (docs/enrolment-protocol.md, step 3): an SSHSIG by the host key over payload and CA signature together. */
import { decodeBase64 } from '#openssh/base64.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import type { KeyType } from '#openssh/key-type.ts';
import { type PublicKey, decodePublicKey } from '#openssh/public-key.ts';
import { decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { type ChallengeReply, PROOF_NAMESPACE, proofMessage } from '#protocol/host-challenge.ts';

export type ProofFault = 'proof-invalid' | 'proof-wrong-key';

/** The type of key that a proof says it is by: which key to ask the host for, so that one connection is enough. */
export function keyTypeOfProof(proof: string): KeyType | undefined {
  try {
    return decodeSshsig(decodeBase64(proof)).key.type;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/**
 * Checks that the key which the CA itself saw at the host made the proof.
 * @param provenBlob the public key blob from the dial-back: what the proof must verify under, whatever it names itself
 */
export function findProofFault(
  proof: string,
  challenge: ChallengeReply,
  provenBlob: Uint8Array,
): ProofFault | undefined {
  try {
    const sshsig = decodeSshsig(decodeBase64(proof));
    if (sshsig.certificate !== undefined) return 'proof-invalid';
    if (fingerprintOf(sshsig.keyBlob) !== fingerprintOf(provenBlob)) return 'proof-wrong-key';
    const key: PublicKey = decodePublicKey(provenBlob);
    return verifySshsig({ ...sshsig, key }, proofMessage(challenge), PROOF_NAMESPACE) ? undefined : 'proof-invalid';
  } catch (error) {
    if (error instanceof FormatError) return 'proof-invalid';
    throw error;
  }
}

/**
 * The key behind a voucher: a proof of the same bytes by another host key. Whether that key is enrolled under these names is
 * for the store to decide. Undefined for a voucher that does not verify.
 */
export function verifiedVoucher(voucher: string, challenge: ChallengeReply): Fingerprint | undefined {
  try {
    const sshsig = decodeSshsig(decodeBase64(voucher));
    if (sshsig.certificate !== undefined || !verifySshsig(sshsig, proofMessage(challenge), PROOF_NAMESPACE))
      return undefined;
    return fingerprintOf(sshsig.keyBlob);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
