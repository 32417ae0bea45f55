import { assert, constantFrom, property, tuple, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { requestNumbers } from '#openssh/agent-number.ts';
import {
  decodeAgentReply,
  encodeIdentities,
  encodeQueryReply,
  encodeSignatureReply,
  encodeStatus,
} from '#openssh/agent-reply.ts';
import {
  type AgentRequest,
  decodeAgentRequest,
  encodeAddRequest,
  encodeExtensionRequest,
  encodeListRequest,
  encodeLockRequest,
  encodeRemoveAllRequest,
  encodeRemoveRequest,
  encodeSignRequest,
} from '#openssh/agent-request.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { fieldsOf, sampleCertificate, sampleKey } from './agent-samples.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const key = sampleKey();
const host = sampleKey();
const constraints = {
  lifetimeSeconds: 90,
  confirm: true,
  destinations: [
    {
      from: { user: '', hostname: 'jump', keys: [{ blob: host.blob, isCa: false }] },
      to: {
        user: 'al*',
        hostname: 'db',
        keys: [
          { blob: key.blob, isCa: true },
          { blob: host.blob, isCa: false },
        ],
      },
    },
  ],
} as const;

const requests: readonly (readonly [string, Uint8Array, AgentRequest])[] = [
  ['list', encodeListRequest(), { type: 'list' }],
  ['remove all', encodeRemoveAllRequest(), { type: 'remove-all' }],
  ['remove', encodeRemoveRequest(key.blob), { type: 'remove', keyBlob: key.blob }],
  ['lock', encodeLockRequest('lock', text('pw')), { type: 'lock', passphrase: text('pw') }],
  ['unlock', encodeLockRequest('unlock', text('pw')), { type: 'unlock', passphrase: text('pw') }],
  [
    'sign',
    encodeSignRequest({ keyBlob: key.blob, data: text('data'), flags: 4 }),
    { type: 'sign', keyBlob: key.blob, data: text('data'), flags: 4 },
  ],
  [
    'extension',
    encodeExtensionRequest('query', text('rest')),
    { type: 'extension', name: 'query', contents: text('rest') },
  ],
];

test.each(requests)('%s is read as it was written', (_, message, request) => {
  expect(decodeAgentRequest(message)).toEqual(request);
});

describe('adding', () => {
  const types = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'ssh-rsa',
  ] as const;
  test.each(types)('a %s key, plain and with a certificate, with every constraint', (type) => {
    const own = sampleKey(type);
    for (const certificate of [undefined, sampleCertificate(own, host)]) {
      const message = encodeAddRequest({ fields: fieldsOf(own, certificate), comment: text('me'), constraints });
      const request = decodeAgentRequest(message);
      if (request.type !== 'add') throw new TypeError('another request');
      expect(request.constraints).toEqual(constraints);
      expect(request.comment).toEqual(text('me'));
      expect(encodePublicKey(request.fields.publicKey)).toEqual(own.blob);
      expect(request.fields.certificate?.blob).toEqual(certificate?.blob);
      expect(request.fields.privateKey?.equals(own.privateKey)).toBe(true);
    }
  });

  test('a security key keeps its handle and flags', () => {
    const fields = {
      publicKey: { type: 'sk-ssh-ed25519@openssh.com', key: new Uint8Array(32).fill(3), application: 'ssh:' },
      flags: 1,
      keyHandle: text('handle'),
      reserved: new Uint8Array(),
    } as const;
    const message = encodeAddRequest({ fields, comment: text('sk'), constraints: { skProvider: 'internal' } });
    expect(message[0]).toBe(requestNumbers.addConstrained);
    expect(decodeAgentRequest(message)).toEqual({
      type: 'add',
      fields,
      comment: text('sk'),
      constraints: { skProvider: 'internal' },
    });
  });
});

const add = encodeAddRequest({ fields: fieldsOf(key), comment: text('c'), constraints });
const all = [...requests.filter(([name]) => name !== 'extension').map(([, message]) => message), add];

test('every prefix of a request is refused, and so is every byte after it', () => {
  for (const message of all) {
    for (let length = 1; length < message.length; length++) {
      // a shorter add may be a whole one with fewer constraints, never one with other constraints
      const prefix = message.slice(0, length);
      if (message === add && isWholeAdd(prefix)) continue;
      expect(() => decodeAgentRequest(prefix)).toThrow(FormatError);
    }
    expect(() => decodeAgentRequest(Buffer.concat([message, Uint8Array.of(0)]))).toThrow(FormatError);
  }
});

function isWholeAdd(prefix: Uint8Array): boolean {
  try {
    const request = decodeAgentRequest(prefix);
    return request.type === 'add' && request.constraints.destinations === undefined;
  } catch {
    return false;
  }
}

test('PKCS#11 and unknown requests are recognised without being read', () => {
  for (const number of [20, 21, 26])
    expect(decodeAgentRequest(Uint8Array.of(number, 255))).toEqual({ type: 'smartcard' });
  for (const number of [0, 1, 7, 24, 28, 255])
    expect(decodeAgentRequest(Uint8Array.of(number, 1))).toEqual({ type: 'unknown' });
});

test('foreign bytes are a request or a FormatError, nothing else', () => {
  const start = constantFrom(...Object.values(requestNumbers));
  assert(
    property(tuple(start, uint8Array({ maxLength: 200 })), ([number, rest]) => {
      try {
        decodeAgentRequest(Uint8Array.of(number, ...rest));
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 500 },
  );
});

test('a damaged add request is refused or still holds together', () => {
  assert(
    property(uint8Array({ minLength: 3, maxLength: 3 }), ([high = 0, low = 0, value = 0]) => {
      const damaged = add.slice();
      damaged[(high * 256 + low) % damaged.length] = value;
      try {
        decodeAgentRequest(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 300 },
  );
});

describe('replies', () => {
  test.each(['success', 'failure', 'extension-failure'] as const)('%s', (type) => {
    expect(decodeAgentReply(encodeStatus(type))).toEqual({ type });
  });

  test('identities, signature, query', () => {
    const identities = [
      { blob: key.blob, comment: text('a') },
      { blob: host.blob, comment: Uint8Array.of(0xff, 0) },
    ];
    expect(decodeAgentReply(encodeIdentities(identities))).toEqual({ type: 'identities', identities });
    expect(decodeAgentReply(encodeSignatureReply(text('sig')))).toEqual({ type: 'signature', signature: text('sig') });
    const query = decodeAgentReply(encodeQueryReply(['a', 'b']));
    expect(query).toMatchObject({ type: 'extension', name: 'query' });
  });

  test('a list leaves out what does not fit one message', () => {
    const many = Array.from({ length: 30 }, () => ({ blob: new Uint8Array(10_000), comment: new Uint8Array() }));
    const reply = decodeAgentReply(encodeIdentities(many));
    expect(reply).toMatchObject({ identities: { length: 26 } });
  });

  test('a count without identities is refused before anything is allocated', () => {
    expect(() => decodeAgentReply(Uint8Array.of(12, 255, 255, 255, 255))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});
