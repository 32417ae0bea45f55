/** The name of a lineage: the serial of its first certificate as 16 hex digits, so that it needs no second source of randomness. */
export function lineageNamed(firstSerial: bigint): string {
  return firstSerial.toString(16).padStart(16, '0');
}
