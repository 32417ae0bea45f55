/** The CA keys that are trusted, as lines of a file that sshd and ssh read. Pure. */
import type { CertificateType } from '#openssh/certificate.ts';
import { decodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import type { CaKeyRecord, CaKeyState } from '../store/ca-key-decisions.ts';

const order: readonly CaKeyState[] = ['current', 'next', 'old'];

/** The current key first. */
export function publicKeyLines(keys: readonly CaKeyRecord[], type: CertificateType): string {
  return order
    .flatMap((state) => keys.filter((key) => key.type === type && key.state === state))
    .map(({ key }) => `${formatPublicKeyLine(decodePublicKey(key))}\n`)
    .join('');
}
