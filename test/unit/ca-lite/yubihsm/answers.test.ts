/** Answers of the device that are not what they should be: every decoder gives a value or a typed error. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { getPublicKey, signEcdsa, signEddsa, signPkcs1 } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import type { Command } from '#ca-lite/yubihsm/commands/command.ts';
import { echo, getDeviceInfo, getPseudoRandom, getStorageInfo } from '#ca-lite/yubihsm/commands/device.ts';
import { getLogEntries, setLogIndex } from '#ca-lite/yubihsm/commands/log.ts';
import { getObjectInfo, listObjects } from '#ca-lite/yubihsm/commands/objects.ts';
import { getCommandAudit, getForceAudit } from '#ca-lite/yubihsm/commands/options.ts';
import { signSshCertificate } from '#ca-lite/yubihsm/commands/ssh-certificate.ts';
import { exportWrapped, importWrapped, putWrapKey } from '#ca-lite/yubihsm/commands/wrap.ts';
import { HsmDeviceError, HsmError } from '#ca-lite/yubihsm/errors.ts';
import { decodeAnswer, decodeFrame, encodeFrame, maxMessage } from '#ca-lite/yubihsm/frame.ts';
import { decodeDerSignature, plainSignature } from '#ca-lite/yubihsm/plain-signature.ts';

const request = {
  keyId: 1,
  templateId: 2,
  algorithm: 'rsa-sha2-256',
  timestampSeconds: 3,
  timestampSignature: new Uint8Array(256),
  tbs: new Uint8Array(10),
} as const;
const wrapHeader = { id: 1, label: '', domains: 1, capabilities: 0n, delegated: 0n };

const commands: Command<unknown>[] = [
  getPublicKey(1),
  signPkcs1(1, new Uint8Array(32)),
  signEcdsa(1, new Uint8Array(32)),
  signEddsa(1, new Uint8Array(5)),
  echo(new Uint8Array(3)),
  getDeviceInfo(),
  getPseudoRandom(4),
  getStorageInfo(),
  getLogEntries(),
  setLogIndex(1),
  getObjectInfo(1, 'template'),
  listObjects(),
  getForceAudit(),
  getCommandAudit(),
  signSshCertificate(request),
  exportWrapped(1, 'opaque', 2),
  importWrapped(1, new Uint8Array(100)),
  putWrapKey(wrapHeader, new Uint8Array(16)),
];

test.each(commands.map((command) => [command.name, command] as const))('%s: any bytes', (_, command) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typed(() => command.decode(bytes))));
});

test('any bytes as a message', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => typed(() => decodeFrame(bytes))));
});

test('any bytes as an ECDSA signature in DER', () => {
  const start = fc.constantFrom([], [0x30], [0x30, 6, 2, 1], [0x30, 0x81, 0x88, 2, 0x42]);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 150 }), (prefix, rest) =>
      typed(() => decodeDerSignature(Uint8Array.of(...prefix, ...rest))),
    ),
  );
});

test.each([
  ['a negative number', '3006020181020101'],
  ['a number with a needless zero', '300702020001020101'],
  ['an empty number', '300502000201010'.padEnd(14, '0')],
  ['a length that is not minimal', '308106020101020101'],
  ['something behind it', '300602010102010100'],
  ['something behind the numbers', '300702010102010100'],
])('a signature with %s is no DER', (_, hex) => {
  expect(() => decodeDerSignature(Buffer.from(hex, 'hex'))).toThrow(
    expect.objectContaining({ code: 'answer-malformed' }),
  );
});

test('r and s become mpints', () => {
  const der = Buffer.from('30070202008102017f', 'hex');
  const { blob } = plainSignature('ecp256', 'ecdsa-sha2-nistp256', der);
  expect(Buffer.from(blob).toString('hex')).toBe('000000020081000000017f');
});

test('a message has its exact length, and no more than the largest', () => {
  const data = new Uint8Array(maxMessage - 3);
  expect(decodeFrame(encodeFrame(1, data))).toEqual({ command: 1, data });
  expect(() => encodeFrame(1, new Uint8Array(maxMessage - 2))).toThrow(TypeError);
  expect(() => decodeFrame(Uint8Array.of(0x81, 0, 1))).toThrow(HsmError);
  expect(() => decodeFrame(Uint8Array.of(0x81, 0, 0, 0))).toThrow(HsmError);
  expect(() => decodeFrame(new Uint8Array(maxMessage + 1))).toThrow(HsmError);
});

test('a refusal says which command was refused, and carries the number', () => {
  expect(() => decodeAnswer(Uint8Array.of(0x7f, 0, 1, 0x0e), 0x5d, 'SIGN SSH CERTIFICATE')).toThrow(
    expect.objectContaining({
      code: 'device-ssh-constraint-violation',
      deviceCode: 0x0e,
      command: 'SIGN SSH CERTIFICATE',
    }),
  );
  const unknown = new HsmDeviceError(0x63, 'ECHO');
  expect(unknown).toMatchObject({ code: 'device-unknown-error', deviceCode: 0x63 });
});

test('an answer to another command is none', () => {
  expect(() => decodeAnswer(Uint8Array.of(0x82, 0, 0), 1, 'ECHO')).toThrow(
    expect.objectContaining({ code: 'answer-malformed' }),
  );
});

/** Runs a decoder that may give a value or throw an {@link HsmError}, and nothing else. */
function typed(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(HsmError);
  }
}
