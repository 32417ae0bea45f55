/** Files with one public key a line, as TrustedUserCAKeys: empty lines and comments are passed over. */
import { readFile } from 'node:fs/promises';
import { type PublicKey, parsePublicKeyLine } from '#openssh/public-key.ts';

/** @throws FormatError for a line that is no key, and system errors */
export async function readKeyLines(path: string): Promise<PublicKey[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => parsePublicKeyLine(line).key);
}
