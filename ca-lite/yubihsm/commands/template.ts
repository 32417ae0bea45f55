/** Commands of templates: PUT TEMPLATE and GET TEMPLATE (Yubico). What a template says is in `../ssh-template.ts`. */
import { concat, u16 } from '../wire.ts';
import type { Command } from './command.ts';
import { decodeObjectId, encodeObjectHeader, type ObjectHeader } from './objects.ts';

/** Stores a template's bytes. */
export function putTemplate(header: Omit<ObjectHeader, 'algorithm'>, template: Uint8Array): Command<number> {
  const data = concat(encodeObjectHeader({ ...header, algorithm: 'template-ssh' }), template);
  return { name: 'PUT TEMPLATE', effect: 'change', data, needs: ['put-template'], decode: decodeObjectId };
}

/** Reads a template's bytes, exactly as they were stored. */
export function getTemplate(id: number): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => new Uint8Array(answer);
  return { name: 'GET TEMPLATE', effect: 'read', data: u16(id), needs: ['get-template'], decode };
}
