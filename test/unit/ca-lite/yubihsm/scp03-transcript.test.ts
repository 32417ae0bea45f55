/**
 * A session recorded between a real YubiHSM 2 (firmware 2.2.0, authentication key 1, default password) and the vendor's
 * client, and a second, synthetic one from the vendor's Python client: what we derive and send is that, bit by bit.
 */
import { expect, test } from 'vitest';
import { changeAuthenticationKey } from '#ca-lite/yubihsm/commands/authentication-key.ts';
import { encodeFrame } from '#ca-lite/yubihsm/frame.ts';
import { cardCryptogram, deriveSessionKeys, hostCryptogram, keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { authenticate, type Channel, open, seal, sealCommand } from '#ca-lite/yubihsm/secure-channel.ts';
import { openSession } from '#ca-lite/yubihsm/session.ts';
import { echo } from '#ca-lite/yubihsm/commands/device.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

const host = bytes('b1fe8274d5b9f772');
const card = bytes('61ff634e5a92dea4');
const transcript = {
  create: ['03000a 0001 b1fe8274d5b9f772', '830011 01 61ff634e5a92dea4 c7c36764a7cd8b78'],
  authenticate: ['040011 01 e64a8a3b8e02b8c0 b14cf8bd0bf09d59', '840000'],
  echo: [
    '050019 01 b9e317b8a6ae2a240a2454f793fdcc96 d167db48777c9b07',
    '850019 01 aeb4231c46923aaacffd6f518ca76425 2088e41b501c0923',
  ],
  close: [
    '050019 01 3c5fe968a74a132ff2b1cdbb7949ffc0 f393eb15e4817b61',
    '850019 01 7671b64a89b1e6c4f05ac9c2d368e9a7 3d11b01cfa6e487c',
  ],
} as const;

test('the default password gives the default keys', async () => {
  const keys = await keysFromPassword('password');
  expect(hex(keys.enc)).toBe('090b47dbed595654901dee1cc655e420');
  expect(hex(keys.mac)).toBe('592fd483f759e29909a04c4505d2ce0a');
});

test('the recorded challenges give the recorded session keys and cryptograms', async () => {
  const keys = deriveSessionKeys(await keysFromPassword('password'), host, card);
  expect(hex(keys.enc)).toBe('d4bfda6fb5d369a6a555e299a4614ad8');
  expect(hex(keys.mac)).toBe('447a04d70a5f7aca85222a35927f9e7b');
  expect(hex(keys.rmac)).toBe('20ef4b2abd2bba086f846ec9e35cb795');
  expect(hex(cardCryptogram(keys, host, card))).toBe('c7c36764a7cd8b78');
  expect(hex(hostCryptogram(keys, host, card))).toBe('e64a8a3b8e02b8c0');
});

test('a whole session, from opening to closing, is the recorded one', async () => {
  const expected = [transcript.create, transcript.authenticate, transcript.echo, transcript.close];
  const sent: string[] = [];
  const connector = {
    name: 'transcript',
    status: () => Promise.reject(new Error('not asked for')),
    exchange: async (message: Uint8Array): Promise<Uint8Array> => {
      sent.push(hex(message));
      return bytes(expected[sent.length - 1]![1]);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const keys = await keysFromPassword('password');
  const session = await openSession({ connector, authKeyId: 1, keys, random: () => host });
  await session.execute(echo(Uint8Array.of(0xff)));
  await session.close();
  expect(sent).toEqual(expected.map(([request]) => request.replaceAll(' ', '')));
  expect(session.lost).toBe(true);
});

test('one flipped bit anywhere in a recorded answer is noticed', async () => {
  const channel = await recordedChannel();
  const answer = bytes(transcript.echo[1]);
  for (let bit = 24; bit < answer.length * 8; bit++) {
    const changed = answer.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => open(channel, changed)).toThrow(expect.objectContaining({ name: 'HsmError' }));
  }
});

test('an answer that is cut anywhere is noticed', async () => {
  const channel = await recordedChannel();
  const answer = bytes(transcript.echo[1]);
  for (let length = 0; length < answer.length; length++) {
    expect(() => open(channel, answer.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'answer-malformed' }),
    );
  }
});

test('the answer to one command is not taken for the answer to the next', async () => {
  const first = await recordedChannel();
  const opened = open(first, bytes(transcript.echo[1]));
  if ('plainRefusal' in opened) throw new Error('refused');
  const { channel } = seal(opened.channel, bytes('400000'));
  expect(() => open(channel, bytes(transcript.echo[1]))).toThrow(
    expect.objectContaining({ code: 'answer-mac-mismatch' }),
  );
});

test('a refusal in plain text is handed on as such', async () => {
  expect(open(await recordedChannel(), bytes('7f000103'))).toEqual({ plainRefusal: 3 });
});

test("the synthetic session of the vendor's Python client", async () => {
  const zero = new Uint8Array(8);
  const keys = deriveSessionKeys(await keysFromPassword('password'), zero, bytes('054d5631c9186f80'));
  expect(hex(cardCryptogram(keys, zero, bytes('054d5631c9186f80')))).toBe('3225ed8a3224f2cf');
  const cryptogram = hostCryptogram(keys, zero, bytes('054d5631c9186f80'));
  expect(hex(authenticate(0, keys, cryptogram).message)).toBe('040011001ce7552e0f7976dbcc2198fd155c335a');
});

test('a change of keys carries the algorithm and both keys', () => {
  const keys = { enc: new Uint8Array(16).fill(1), mac: new Uint8Array(16).fill(2) };
  const { data } = changeAuthenticationKey(7, keys);
  expect(hex(data)).toBe(`000726${'01'.repeat(16)}${'02'.repeat(16)}`);
});

/** The channel as it is when the recorded answer to the echo comes in. */
async function recordedChannel(): Promise<Channel> {
  const keys = deriveSessionKeys(await keysFromPassword('password'), host, card);
  const { channel, message } = authenticate(1, keys, hostCryptogram(keys, host, card));
  expect(hex(message)).toBe(transcript.authenticate[0].replaceAll(' ', ''));
  const sealed = sealCommand(channel, 0x01, Uint8Array.of(0xff));
  expect(sealed).toEqual(seal(channel, encodeFrame(0x01, Uint8Array.of(0xff))));
  return sealed.channel;
}
