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
