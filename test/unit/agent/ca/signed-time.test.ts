/** Every way to have a host believe a wrong time: each is refused. */
import { describe, expect, test } from 'vitest';
import { judgeSignedTime } from '#agent/ca/signed-time.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { TIME_NAMESPACE, TIME_STATEMENT_TYPE, type TimeReply } from '#protocol/signed-time.ts';
import { KRL_NAMESPACE } from '#protocol/trust.ts';
import { type StatementFaults, newCaKey, signStatement } from '#test/support/statement-signer.ts';

const now = 1_800_000_000;
const nonce = 'n'.repeat(43);
const [hostCa, stranger] = [newCaKey(), newCaKey()];
const trusted = new Set([fingerprintOf(encodePublicKey(publicKeyFromObject(hostCa)))]);

/** @param signedAt when the statement key was made */
function reply(change: object = {}, faults?: StatementFaults, signer = hostCa, signedAt = now): TimeReply {
  const bytes = Buffer.from(JSON.stringify({ type: TIME_STATEMENT_TYPE, nonce, time: now, ...change }));
  const signature = signStatement(signer, bytes, TIME_NAMESPACE, BigInt(signedAt), faults);
  return { payload: encodeBase64(bytes), signatures: [encodeBase64(signature)] };
}

const judge = (told: TimeReply) => judgeSignedTime(told, nonce, trusted);

test('the time of the CA is believed, whatever ours is', () => {
  expect(judge(reply())).toEqual({ timeSeconds: now });
});

describe('is not believed', () => {
  test('an older answer, played again', () => {
    expect(judge(reply({ nonce: 'o'.repeat(43) })).fault).toBe('nonce-differs');
  });

  test('the statement of a stranger', () => {
    expect(judge(reply({}, {}, stranger)).fault).toBe('signer-untrusted');
  });

  test('a bare key, or one that was certified for something else', () => {
    expect(judge(reply({}, { bare: true })).fault).toBe('signer-untrusted');
    expect(judge(reply({}, { certificate: { principals: ['challenge@countersign'] } })).fault).toBe('signer-untrusted');
    expect(judge(reply({}, { certificate: { type: 'host' } })).fault).toBe('signer-untrusted');
    expect(judge(reply({}, { certificate: { criticalOptions: [] } })).fault).toBe('signer-untrusted');
  });

  test('a statement key whose certificate had ended, or had not begun, at the time told', () => {
    expect(judge(reply({}, {}, hostCa, now - 7200)).fault).toBe('signer-not-valid-now');
    expect(judge(reply({}, {}, hostCa, now + 7200)).fault).toBe('signer-not-valid-now');
  });

  test('a signature that was made for something else', () => {
    expect(judge(reply({}, { namespace: KRL_NAMESPACE })).fault).toBe('signature-invalid');
  });

  test('a signature for another time', () => {
    const { signatures } = reply();
    const { payload } = reply({ time: now + 1 });
    expect(judge({ payload, signatures }).fault).toBe('signature-invalid');
  });

  test.each([{ type: 'countersign-trust-v1' }, { time: -1 }, { time: 1.5 }, { time: String(now) }, { nonce: 1 }])(
    'what is no statement of the time: %o',
    (change) => {
      expect(judge(reply(change)).fault).toBe('payload-malformed');
    },
  );

  test('what is not base64, or no text', () => {
    expect(judge({ ...reply(), payload: '***' }).fault).toBe('unsigned');
    expect(judge({ ...reply(), payload: encodeBase64(Uint8Array.of(0xff, 0xfe)) }).fault).toBe('payload-malformed');
    expect(judge({ ...reply(), signatures: [encodeBase64(new Uint8Array(3))] }).fault).toBe('unsigned');
  });
});
