/**
 * Certificates between us and `ssh-keygen -s` and `-L`. Whoever signs, the bytes to be signed are the same; with an Ed25519 CA,
 * whose signatures have one form, so is the whole certificate. `-L` verifies the CA's signature before it prints.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatCertificateLine, parseCertificateLine } from '#openssh/certificate-line.ts';
import {
  extensionFlags,
  forceCommandOption,
  parseNetworkList,
  sourceAddressOption,
  verifyRequiredOption,
  viewCertificateOptions,
} from '#openssh/certificate-options.ts';
import {
  type Certificate,
  type CertificateFields,
  INFINITE_VALIDITY,
  assembleCertificate,
  encodeToBeSigned,
  textOption,
  verifyCertificateSignature,
} from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { sampleCertificate, sampleKeys, sampleTypes } from '#test/unit/openssh/samples.ts';
import { Workshop, madeKinds, nameOf } from './openssh-workshop.ts';

let workshop: Workshop;

beforeAll(async () => {
  workshop = await Workshop.open();
  for (const [type, bits] of madeKinds) await workshop.newKey(`ca-${nameOf(type, bits)}`, type, bits);
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

/** What ssh-keygen signs for a key of ours. */
async function signedByKeygen(caName: string, key: CertificateFields['key'], ...args: string[]): Promise<Certificate> {
  await workshop.write('subject.pub', `${formatPublicKeyLine(key)}\n`);
  await workshop.keygen('-q', '-s', caName, ...args, 'subject.pub');
  return parseCertificateLine(await workshop.readText('subject-cert.pub')).certificate;
}

const userArgs = [
  '-I',
  'alice@example.com',
  '-n',
  'alice,admins',
  '-z',
  '18446744073709551615',
  '-V',
  '20300101:20310101',
];
const hostArgs = [
  '-h',
  '-I',
  'web',
  '-n',
  'web.example.com,192.0.2.1,2001:db8::1',
  '-z',
  '7',
  '-V',
  '20300101:20310101',
];

describe.each(sampleTypes)('ssh-keygen certifies %s', (type) => {
  const key = sampleKeys[type].publicKey;

  test.each(madeKinds)('with the CA key %s %s: the bytes that are signed are ours', async (caType, bits) => {
    const certificate = await signedByKeygen(`ca-${nameOf(caType, bits)}`, key, ...userArgs);
    expect(verifyCertificateSignature(certificate)).toBe(true);
    expect(encodeToBeSigned(certificate)).toEqual(certificate.signedBytes);
    expect(certificate).toMatchObject({
      key,
      type: 'user',
      serial: 2n ** 64n - 1n,
      keyId: 'alice@example.com',
      principals: ['alice', 'admins'],
      validAfter: 1_893_456_000n,
      validBefore: 1_924_992_000n,
    });
  });

  test('with Ed25519: the whole certificate is ours', async () => {
    const certificate = await signedByKeygen('ca-ed25519', key, ...hostArgs);
    const { privateKey } = parseSoftwareKey(await workshop.read('ca-ed25519'));
    const toBeSigned = encodeToBeSigned(certificate);
    const ours = assembleCertificate(toBeSigned, signWithKeyObject(privateKey, 'ssh-ed25519', toBeSigned));
    expect(ours).toEqual(certificate.blob);
    const line = (await workshop.readText('subject-cert.pub')).trimEnd();
    expect(formatCertificateLine(certificate, parseCertificateLine(line).comment)).toBe(line);
  });
});

test('options of ssh-keygen -O are seen, and written the same way', async () => {
  const key = sampleKeys['ssh-ed25519'].publicKey;
  const options = [
    'clear',
    'force-command=/bin/echo hi',
    'source-address=192.0.2.0/24,2001:db8::/32',
    'verify-required',
    'permit-pty',
    'no-touch-required',
    'critical:new@example.com=x',
    'extension:login@example.com=alice',
  ].flatMap((option) => ['-O', option]);
  const certificate = await signedByKeygen('ca-ed25519', key, ...userArgs, ...options);
  expect(viewCertificateOptions(certificate)).toEqual({
    forceCommand: '/bin/echo hi',
    sourceAddress: '192.0.2.0/24,2001:db8::/32',
    verifyRequired: true,
    extensions: new Set(['no-touch-required', 'permit-pty']),
    unknownCriticalOptions: [textOption('new@example.com', 'x')],
    unknownExtensions: [textOption('login@example.com', 'alice')],
  });
  const ours = encodeToBeSigned({
    ...certificate,
    criticalOptions: [
      verifyRequiredOption(),
      textOption('new@example.com', 'x'),
      sourceAddressOption(parseNetworkList('192.0.2.0/24,2001:db8::/32')),
      forceCommandOption('/bin/echo hi'),
    ],
    extensions: [...extensionFlags(['permit-pty', 'no-touch-required']), textOption('login@example.com', 'alice')],
  });
  expect(ours).toEqual(certificate.signedBytes);
});

test('what we never sign, we still read: no principals, serial 0, validity for ever', async () => {
  const certificate = await signedByKeygen(
    'ca-ed25519',
    sampleKeys['ssh-rsa'].publicKey,
    '-I',
    'x',
    '-V',
    'always:forever',
  );
  expect(certificate).toMatchObject({ principals: [], serial: 0n, validAfter: 0n, validBefore: INFINITE_VALIDITY });
  expect(verifyCertificateSignature(certificate)).toBe(true);
});

test('a certificate signed with SHA-1 is refused', async () => {
  const sha1 = await workshop.try('ssh-keygen', [
    '-q',
    '-s',
    'ca-rsa2048',
    '-t',
    'ssh-rsa',
    ...userArgs,
    'ca-ed25519.pub',
  ]);
  expect(sha1.stderr).toBe('');
  const line = await workshop.readText('ca-ed25519-cert.pub');
  expect(() => parseCertificateLine(line)).toThrow(expect.objectContaining({ code: 'unsupported-algorithm' }));
});

describe('ssh-keygen -L reads what we sign', () => {
  const shown = async (certificate: Certificate): Promise<string> => {
    await workshop.write('ours-cert.pub', `${formatCertificateLine(certificate, 'by us')}\n`);
    return workshop.keygen('-L', '-f', 'ours-cert.pub');
  };

  test.each(sampleTypes.flatMap((type) => sampleTypes.map((ca) => [type, ca] as const)))(
    '%s by %s',
    async (type, ca) => {
      const certificate = sampleCertificate({ key: sampleKeys[type].publicKey }, sampleKeys[ca]);
      const output = await shown(certificate);
      const caPrint = fingerprintOf(encodePublicKey(sampleKeys[ca].publicKey));
      const keyPrint = fingerprintOf(encodePublicKey(sampleKeys[type].publicKey));
      expect(output).toContain(`Type: ${keyTypes[type].certificateType} user certificate`);
      expect(output).toContain(`${keyTypes[type].label}-CERT ${keyPrint}`);
      expect(output).toContain(
        `Signing CA: ${keyTypes[ca].label} ${caPrint} (using ${certificate.signature.algorithm})`,
      );
    },
  );

  test('every field', async () => {
    const certificate = sampleCertificate({
      type: 'host',
      serial: 2n ** 63n,
      keyId: 'grüße, "x"',
      principals: ['a.example.com', 'b'],
      validAfter: 1_893_456_000n,
      validBefore: 1_924_992_000n,
      criticalOptions: [],
      extensions: [],
    });
    const lines = (await shown(certificate)).split('\n').map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'Type: ssh-ed25519-cert-v01@openssh.com host certificate',
        'Key ID: "grüße, "x""',
        'Serial: 9223372036854775808',
        'Valid: from 2030-01-01T00:00:00 to 2031-01-01T00:00:00',
        'a.example.com',
        'b',
        'Critical Options: (none)',
        'Extensions: (none)',
      ]),
    );
  });

  test('and refuses it with one bit changed', async () => {
    const { key, blob } = sampleCertificate();
    const changed = blob.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await workshop.write('bad-cert.pub', `${formatCertificateLine({ key, blob: changed })}\n`);
    expect((await workshop.try('ssh-keygen', ['-L', '-f', 'bad-cert.pub'])).exitCode).not.toBe(0);
  });
});
