/** The command GET OPAQUE (Yubico, "Get Opaque"). */
import { u16 } from '../wire.ts';
import type { Command } from './command.ts';

/** The id under which a device has the certificate of the key that it came with for attestations. */
export const builtInCertificate = 0;

/** The bytes of an opaque object. */
export function getOpaque(id: number): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => new Uint8Array(answer);
  return { name: 'GET OPAQUE', effect: 'read', data: u16(id), needs: ['get-opaque'], decode };
}
