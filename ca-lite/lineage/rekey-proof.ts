/** The new key's own signature at a rekey (protocol/renewal.ts): without it a host can ask for a certificate for a key that it does not hold. */
import { decodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { REKEY_PROOF_NAMESPACE } from '#protocol/renewal.ts';

/** @param proof base64 of an SSHSIG; @param token the text that it signs */
export function isRekeyProof(proof: string, token: string, key: PublicKey): boolean {
  try {
    const sshsig = decodeSshsig(decodeBase64(proof));
    if (sshsig.certificate !== undefined) return false;
    if (fingerprintOf(sshsig.keyBlob) !== fingerprintOf(encodePublicKey(key))) return false;
    return verifySshsig(sshsig, Buffer.from(token, 'latin1'), REKEY_PROOF_NAMESPACE);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
