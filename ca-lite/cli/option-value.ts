/** Parsers of single option values; a bad one is wrong usage (exit status 2). */
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../config/duration.ts';

export function parseDescriptor(text: string): number {
  const number = Number(text);
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('Expected the number of an open file descriptor.');
  return number;
}

/** Collects a repeatable option. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

export function parseDurationOption(text: string): string {
  if (parseDuration(text) === undefined)
    throw new InvalidArgumentError('Expected a duration with units, such as 90s, 5m, 16h or 30d.');
  return text;
}

export function parseSerial(text: string): bigint {
  const serial = /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
  if (serial === 0n || serial > 0xffff_ffff_ffff_ffffn)
    throw new InvalidArgumentError('Expected the serial of a certificate, a decimal number.');
  return serial;
}

export function parseLimit(text: string): number {
  const number = Number(text);
  if (!/^\d{1,7}$/.test(text) || number < 1) throw new InvalidArgumentError('Expected a number of 1 or more.');
  return number;
}

/** The number of an object in a YubiHSM, decimal or hexadecimal. */
export function parseObjectId(text: string): number {
  const number = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : 0;
  if (number < 1 || number > 0xfffe)
    throw new InvalidArgumentError('Expected the number of an object, such as 0x0104.');
  return number;
}

/** A CKA_ID of PKCS#11. */
export function parseKeyIdentifier(text: string): string {
  if (!/^([0-9a-f]{2}){1,64}$/.test(text)) throw new InvalidArgumentError('Expected hexadecimal digits, such as 01.');
  return text;
}
