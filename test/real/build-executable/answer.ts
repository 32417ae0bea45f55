/** A part of program.ts, loaded when there is an answer. It uses a built-in module itself. */
import { endianness } from 'node:os';

export function format(answer: unknown): string {
  return JSON.stringify({ answer, endianness: endianness() });
}
