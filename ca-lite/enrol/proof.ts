/** The host's proof (docs/enrolment-protocol.md, step 3): an SSHSIG by the host key over payload and CA signature together. */
import { decodeBase64 } from '#openssh/base64.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey } from '#openssh/public-key.ts';
import { decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { type ChallengeReply, PROOF_NAMESPACE, proofMessage } from '#protocol/host-challenge.ts';

export type ProofFault = 'proof-invalid' | 'proof-wrong-key';

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

/** The fingerprint of the key that a proof names; undefined for bytes that are no proof. Cheap: no signature is verified. */
export function signerOfProof(proof: string): Fingerprint | undefined {
  try {
    return fingerprintOf(decodeSshsig(decodeBase64(proof)).keyBlob);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
