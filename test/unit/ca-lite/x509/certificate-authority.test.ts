import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type X509Identity,
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
  readServerCertificate,
  x509Fingerprint,
} from '#ca-lite/x509/certificate-authority.ts';
import { isGood } from '#ca-lite/serve/server-tls.ts';

const now = new Date('2027-01-01T00:00:00Z');
const name = 'A, "quoted" + CN=evil ; name';
let root: X509Identity;
let intermediate: X509Identity;
let server: X509Identity;

beforeAll(async () => {
  root = await createRoot(name, await generateX509Key(), now);
  intermediate = await createIntermediate(name, root, await generateX509Key(), now);
  server = await createServerCertificate(['ca.example.com', '10.0.0.1'], intermediate, await generateX509Key(), now);
});

describe('the X.509 CA', () => {
  it('makes a chain that another implementation accepts', () => {
    const [r, i, s] = [root, intermediate, server].map(({ certificatePem }) => new X509Certificate(certificatePem));
    expect(r?.verify(r.publicKey)).toBe(true);
    expect(i?.checkIssued(r as X509Certificate) === true && i.verify((r as X509Certificate).publicKey)).toBe(true);
    expect(s?.checkIssued(i as X509Certificate) === true && s.verify((i as X509Certificate).publicKey)).toBe(true);
    expect([r?.ca, i?.ca, s?.ca]).toEqual([true, true, false]);
    expect(s?.checkHost('ca.example.com')).toBe('ca.example.com');
    expect(s?.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(r?.subject).toContain('CN=');
  });

  it('takes a name as text, not as syntax', () => {
    expect(new X509Certificate(root.certificatePem).subject.split('\n')).toHaveLength(1);
  });

  it('prints the fingerprint that openssl prints', () => {
    expect(x509Fingerprint(root.certificatePem)).toBe(
      new X509Certificate(root.certificatePem).fingerprint256.replaceAll(':', '').toLowerCase(),
    );
  });

  it('never lets a certificate outlive its issuer', async () => {
    const late = new Date(now.getTime() + 3651 * 86_400_000);
    const last = await createServerCertificate(['ca'], intermediate, await generateX509Key(), late);
    expect(readServerCertificate(last.certificatePem).notAfter).toEqual(
      new Date(new X509Certificate(root.certificatePem).validTo),
    );
  });

  it('replaces a server certificate after two thirds, for other names, and after the clock was set back', () => {
    const names = ['ca.example.com', '10.0.0.1'];
    const day = 86_400_000;
    expect(isGood(server.certificatePem, names, now)).toBe(true);
    expect(isGood(server.certificatePem, names, new Date(now.getTime() + 19 * day))).toBe(true);
    expect(isGood(server.certificatePem, names, new Date(now.getTime() + 20 * day))).toBe(false);
    expect(isGood(server.certificatePem, ['ca.example.com'], now)).toBe(false);
    expect(isGood(server.certificatePem, names, new Date(now.getTime() - day))).toBe(false);
  });
});
