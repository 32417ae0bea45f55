import { expect, test } from 'vitest';
import { isTold } from '#ca-lite/lineage/heal.ts';

const own = ['10.0.0.7', 'fd00::7'];
const seen = (serial: bigint, requester: string) => ({ serial, requester });

test.each([
  ['the host, and a copy elsewhere', [seen(1n, '10.6.6.6'), seen(2n, '10.0.0.7')], 2n, '10.0.0.7', true],
  ['by its other address', [seen(1n, '10.6.6.6'), seen(2n, '10.0.0.7')], 2n, 'fd00::7', true],
  ['the copy asks', [seen(1n, '10.6.6.6'), seen(2n, '10.0.0.7')], 1n, '10.6.6.6', false],
  ['both from the address of the host', [seen(1n, '10.0.0.7'), seen(2n, '10.0.0.7')], 2n, '10.0.0.7', false],
  ['the other one from elsewhere and from there', [seen(1n, '10.6.6.6'), seen(1n, 'fd00::7')], 2n, '10.0.0.7', false],
  ['nobody else was seen', [seen(2n, '10.0.0.7'), seen(2n, '10.6.6.6')], 2n, '10.0.0.7', false],
  ['three holders, one at home', [seen(1n, '10.6.6.6'), seen(3n, '10.6.6.7')], 2n, '10.0.0.7', true],
] as const)('%s', (_, sightings, serial, requester, told) => {
  expect(isTold(serial, requester, own, sightings)).toBe(told);
});
