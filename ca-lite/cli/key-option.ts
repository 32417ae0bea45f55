/** `--key`: a public key file, or a fingerprint as `ssh-keygen -l` prints it. */
import { readFile } from 'node:fs/promises';
import { decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf, parseFingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { isKeyType } from '#openssh/key-type.ts';
import { encodePublicKey, parsePublicKeyLine, splitKeyLine } from '#openssh/public-key.ts';
import { CommandError } from '../command-error.ts';

/** Of a certificate file: the key in it. @throws CommandError */
export async function readKeyFingerprint(text: string): Promise<Fingerprint> {
  try {
    if (text.startsWith('SHA256:')) return parseFingerprint(text);
    const line = await readFile(text, 'utf8');
    const { name, blob } = splitKeyLine(line.trim());
    return isKeyType(name)
      ? fingerprintOf(parsePublicKeyLine(line).blob)
      : fingerprintOf(encodePublicKey(decodeCertificate(blob).key));
  } catch (cause) {
    if (!(cause instanceof FormatError) && !(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new CommandError('--key needs a public key file, or a fingerprint as `ssh-keygen -l` prints it.', { cause });
  }
}
