/**
 * How long a real device takes for a signature: the figures of Yubico's product brief, for `--realtime`. Nothing is
 * published for SIGN SSH CERTIFICATE, which is one RSA verification and one RSA signature; it takes the RSA row.
 */
import { algorithm, commandNumber } from './numbers.ts';

const rsa = new Map<number, number>([
  [algorithm.rsa2048, 139],
  [algorithm.rsa3072, 504],
  [algorithm.rsa4096, 852],
]);
const ecdsa = new Map<number, number>([
  [algorithm.p256, 73],
  [algorithm.p384, 120],
  [algorithm.p521, 210],
]);
const ed25519: readonly (readonly [length: number, ms: number])[] = [
  [32, 105],
  [64, 121],
  [128, 137],
  [256, 168],
  [512, 229],
  [1024, 353],
];

/** Milliseconds for a command with a key of this algorithm; `length` counts the command's data. 0 for all else. */
export function publishedMs(command: number, keyAlgorithm: number | undefined, length: number): number {
  const key = keyAlgorithm ?? 0;
  switch (command) {
    case commandNumber.signPkcs1:
    case commandNumber.signSshCertificate:
      return rsa.get(key) ?? 0;
    case commandNumber.signEcdsa:
      return ecdsa.get(key) ?? 0;
    case commandNumber.signEddsa:
      return ed25519Ms(length - 2);
    default:
      return 0;
  }
}

/** Between two published lengths, and beyond the last, the line through the two nearest. */
function ed25519Ms(length: number): number {
  const above = Math.max(
    1,
    ed25519.findIndex(([known]) => known >= length),
  );
  const upper = length > 1024 ? ed25519.length - 1 : above;
  const [[x0, y0], [x1, y1]] = [ed25519[upper - 1]!, ed25519[upper]!];
  return y0 + ((Math.max(32, length) - x0) * (y1 - y0)) / (x1 - x0);
}
