/** Whether a host showed a certificate of a host CA that `countersign bootstrap` pinned. Does I/O. */
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { fingerprintsOf, readAuthority } from '../../state/authority.ts';
import { isFailure } from '../../failure.ts';
import { stateDirectoryPath } from '../../state/state-directory.ts';

/** False too where no CA is trusted yet. @param caBlob blob of the CA key */
export async function isCertifiedByUs(caBlob: Uint8Array, stateDirectory: string | undefined): Promise<boolean> {
  try {
    const authority = await readAuthority(stateDirectoryPath(stateDirectory));
    return authority !== undefined && fingerprintsOf(authority.hostCaKeys).has(fingerprintOf(caBlob));
  } catch (error) {
    if (isFailure(error)) return false;
    throw error;
  }
}
