/** JSON files of the state directory: checked against a schema when read, durable when written, readable by their owner alone. */
import { readFile } from 'node:fs/promises';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { systemErrorCode } from '../failure.ts';
import { writeDurably } from './durable-file.ts';
import { unusable } from './state-directory.ts';
import { StateError } from './state-error.ts';

/** @returns undefined when there is no such file @throws StateError `state-unusable`, `state-damaged` */
export async function readJsonFile<T extends TSchema>(path: string, schema: T): Promise<Static<T> | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : parse(path, text, schema);
}

export async function writeJsonFile<T extends TSchema>(path: string, schema: T, value: Static<T>): Promise<void> {
  try {
    await writeDurably(path, formatJson(schema, value), 0o600);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** @throws TypeError for a value that could not be read back */
export function formatJson<T extends TSchema>(schema: T, value: Static<T>): string {
  if (!Value.Check(schema, value)) throw new TypeError('value does not fit its own schema');
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw unusable(path, cause);
  }
}

function parse<T extends TSchema>(path: string, text: string, schema: T): Static<T> {
  try {
    const value: unknown = JSON.parse(text);
    if (Value.Check(schema, value)) return value;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new StateError('state-damaged', `${path} is not what Countersign wrote there`, {
    advice: 'Restore it from a backup, or move it away and run the command that makes it again.',
  });
}
