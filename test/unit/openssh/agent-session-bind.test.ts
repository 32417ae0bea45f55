import { describe, expect, test } from 'vitest';
import {
  MAX_SESSION_ID_LENGTH,
  decodeSessionBind,
  encodeSessionBind,
  verifySessionBind,
} from '#openssh/agent-session-bind.ts';
import { recogniseSignedData } from '#openssh/agent-signed-data.ts';
import { encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import { WireWriter } from '#openssh/wire.ts';
import { sampleBind, sampleCertificate, sampleKey } from './agent-samples.ts';

const host = sampleKey();
const ca = sampleKey();
const sessionId = new Uint8Array(32).fill(9);

describe('a session bind', () => {
  test('with the signature of its host key is good', () => {
    const bind = decodeSessionBind(sampleBind(host, { sessionId, isForwarding: true }));
    expect(bind).toMatchObject({ sessionId, isForwarding: true });
    expect(verifySessionBind(bind)?.key).toEqual(host.publicKey);
  });

  test('with the signature of another key, over another session or none is not', () => {
    const good = decodeSessionBind(sampleBind(host, { sessionId }));
    expect(verifySessionBind(decodeSessionBind(sampleBind(host, { sessionId, signer: ca })))).toBeUndefined();
    expect(verifySessionBind({ ...good, sessionId: new Uint8Array(32) })).toBeUndefined();
    const empty = new Uint8Array();
    expect(verifySessionBind(decodeSessionBind(sampleBind(host, { sessionId: empty })))).toBeUndefined();
  });

  test('may show a host certificate, not a user certificate, not a forged one', () => {
    const shown = (certificate: { blob: Uint8Array }): ReturnType<typeof verifySessionBind> =>
      verifySessionBind(decodeSessionBind(sampleBind(host, { shown: certificate.blob })));
    const certificate = sampleCertificate(host, ca, { type: 'host', principals: ['web'] });
    expect(shown(certificate)?.certificate?.principals).toEqual(['web']);
    expect(() => shown(sampleCertificate(host, ca))).toThrow(expect.objectContaining({ code: 'bad-value' }));
    const forged = certificate.blob.slice();
    const at = forged.lastIndexOf('w'.charCodeAt(0)); // of the principal
    forged[at] = 'x'.charCodeAt(0);
    expect(shown({ blob: forged })).toBeUndefined();
  });

  test('bounds the session identifier', () => {
    const bind = decodeSessionBind(sampleBind(host, { sessionId: new Uint8Array(MAX_SESSION_ID_LENGTH) }));
    expect(() =>
      decodeSessionBind(encodeSessionBind({ ...bind, sessionId: new Uint8Array(MAX_SESSION_ID_LENGTH + 1) })),
    ).toThrow(expect.objectContaining({ code: 'too-large' }));
  });
});

describe('signed data', () => {
  const userauth = (
    method: string,
    more: Partial<{ number: number; service: string; follows: number; sessionId: Uint8Array }> = {},
  ): WireWriter =>
    new WireWriter()
      .string(more.sessionId ?? sessionId)
      .byte(more.number ?? 50)
      .string('alice')
      .string(more.service ?? 'ssh-connection')
      .string(method)
      .byte(more.follows ?? 1)
      .string('ssh-ed25519')
      .string(host.blob);

  test('is a login, plain or bound to a host', () => {
    expect(recogniseSignedData(userauth('publickey').finish())).toMatchObject({
      kind: 'userauth',
      user: 'alice',
      keyBlob: host.blob,
    });
    expect(recogniseSignedData(userauth('publickey-hostbound-v00@openssh.com').string(ca.blob).finish())).toMatchObject(
      { hostKeyBlob: ca.blob },
    );
  });

  test('is a file signature with its namespace', () => {
    expect(recogniseSignedData(encodeSshsigToBeSigned(Uint8Array.of(1), 'git'))).toEqual({
      kind: 'sshsig',
      namespace: 'git',
    });
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['a challenge of 32 bytes', new Uint8Array(32).fill(1)],
    ['another message number', userauth('publickey', { number: 51 }).finish()],
    ['another service', userauth('publickey', { service: 'ssh-userauth' }).finish()],
    ['another method', userauth('hostbased').finish()],
    ['no signature to follow', userauth('publickey', { follows: 0 }).finish()],
    ['no session', userauth('publickey', { sessionId: new Uint8Array() }).finish()],
    ['a byte too many', userauth('publickey').byte(0).finish()],
    ['a host-bound login without the host', userauth('publickey-hostbound-v00@openssh.com').finish()],
    [
      'an SSHSIG with a byte too many',
      Buffer.concat([encodeSshsigToBeSigned(Uint8Array.of(1), 'git'), Uint8Array.of(0)]),
    ],
  ])('is not recognised in %s', (_, data) => {
    expect(recogniseSignedData(data)).toBeUndefined();
  });
});
