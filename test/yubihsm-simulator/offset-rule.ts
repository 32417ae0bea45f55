/**
 * The two offsets of an SSH template: the one place where the simulator decides what they mean, since Yubico's text and
 * examples contradict each other and only hardware can settle it.
 *
 * `examples`: not earlier than `timestamp - notBefore`, and any time when `notBefore` is 0; not later than
 * `timestamp + notAfter`, and for ever when `notAfter` is 0xffffffff. This agrees with every published example.
 * `text`: not earlier than `timestamp + notBefore`, not later than `timestamp + notAfter`, without exceptions.
 */

/** Which reading the simulated device follows. */
export type OffsetReading = 'examples' | 'text';

const unlimited = 0xffff_ffff;

/** Says whether a validity fits; seconds since 1970, 64 bits. */
export function withinOffsets(
  times: { validAfter: bigint; validBefore: bigint; timestamp: number; notBefore: number; notAfter: number },
  reading: OffsetReading,
): boolean {
  const timestamp = BigInt(times.timestamp);
  const notBefore = BigInt(times.notBefore);
  const latest = timestamp + BigInt(times.notAfter);
  if (reading === 'text') return times.validAfter >= timestamp + notBefore && times.validBefore <= latest;
  const startsInTime = times.notBefore === 0 || times.validAfter >= timestamp - notBefore;
  const endsInTime = times.notAfter === unlimited || times.validBefore <= latest;
  return startsInTime && endsInTime;
}
