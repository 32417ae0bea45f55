/** Paths of TLS certificates to the pinned root, judged without the time: what OpenSSL would refuse is refused. */
import 'reflect-metadata'; // @peculiar/x509 resolves its algorithms through it
import { X509Certificate, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { describe, expect, test } from 'vitest';
import { judgePath } from '#agent/ca/certificate-path.ts';
import { includes } from '#agent/ca/certificate-validity.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const [from, to] = [new Date('2027-01-01T00:00:00Z'), new Date('2027-03-01T00:00:00Z')];
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

interface Made {
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
}

interface Wish {
  readonly extensions?: readonly x509.Extension[];
  readonly notAfter?: Date;
  readonly hash?: string;
}

async function make(name: string, issuer: Made | undefined, wish: Wish = {}): Promise<Made> {
  const signing = { ...algorithm, hash: wish.hash ?? 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${issuer?.name ?? name}`,
    serialNumber: '4242',
    notBefore: from,
    notAfter: wish.notAfter ?? to,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: signing,
    extensions: [...(wish.extensions ?? [])],
  });
  return { name, keys, certificate };
}

const ca = (pathLength?: number) => [
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
];
const names = new x509.SubjectAlternativeNameExtension([
  { type: 'dns', value: 'ca.example.internal' },
  { type: 'ip', value: '192.0.2.1' },
  { type: 'ip', value: '2001:db8::1' },
]);
const server = [names, new x509.ExtendedKeyUsageExtension([SERVER_AUTH])];

function dnsConstraint(name: string): x509.Extension {
  const base = Buffer.from(name);
  const inner = [0x82, base.length, ...base];
  const subtree = [0x30, inner.length, ...inner];
  return new x509.Extension(
    '2.5.29.30',
    true,
    Uint8Array.of(0x30, subtree.length + 2, 0xa0, subtree.length, ...subtree),
  );
}

const root = await make('root', undefined, { extensions: ca(1), notAfter: new Date('2037-01-01T00:00:00Z') });
const middle = await make('middle', root, { extensions: ca(0), notAfter: new Date('2028-01-01T00:00:00Z') });
const leaf = await make('leaf', middle, { extensions: server });

const der = ({ certificate }: Made) => new Uint8Array(certificate.rawData);
const pem = ({ certificate }: Made) => certificate.toString('pem');
const judge = (presented: readonly Made[], host = 'ca.example.internal', anchor = root) =>
  judgePath({ presented: presented.map(der), root: pem(anchor), host });

test('a path is judged, and its validity is the part that all have in common', () => {
  const verdict = judge([leaf, middle]);
  expect(verdict).toEqual({ validity: { fromMs: from.getTime(), toMs: to.getTime() } });
  if (verdict.fault !== undefined) throw new Error(verdict.fault);
  const { validity } = verdict;
  const ends = [from.getTime() - 1, from.getTime(), to.getTime(), to.getTime() + 1];
  expect(ends.map((ms) => includes(validity, ms))).toEqual([false, true, true, false]);
});

test('what else the server sends, in whatever order, does not matter', () => {
  expect(judge([leaf, root, middle, leaf]).fault).toBeUndefined();
});

test.each(['192.0.2.1', '2001:db8::1'])('is for the address %s', (host) => {
  expect(judge([leaf, middle], host).fault).toBeUndefined();
});

test.each(['leaf', 'other.example.internal', '192.0.2.2', ''])('is not for %j', (host) => {
  expect(judge([leaf, middle], host).fault).toBe('other-name');
});

describe('no path', () => {
  test('without the certificate between, or with that of another CA of the same name', async () => {
    expect(judge([leaf]).fault).toBe('no-path');
    expect(judge([]).fault).toBe('no-path');
    const otherRoot = await make('root', undefined, { extensions: ca() });
    expect(judge([leaf, await make('middle', otherRoot, { extensions: ca(0) })]).fault).toBe('no-path');
    expect(judge([leaf, middle], undefined, otherRoot).fault).toBe('no-path');
  });

  test('through a certificate that is no CA, or may not sign certificates', async () => {
    const host = await make('host', middle, { extensions: server });
    expect(judge([await make('leaf', host, { extensions: server }), host, middle]).fault).toBe('no-path');
    const bound = await make('bound', root, {
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ],
    });
    expect(judge([await make('leaf', bound, { extensions: server }), bound]).fault).toBe('no-path');
  });

  test('to the root by itself', () => {
    expect(judge([root], 'root').fault).toBe('no-path');
  });
});

describe('not allowed', () => {
  test('longer than a CA certificate allows', async () => {
    const low = await make('low', middle, { extensions: ca() });
    expect(judge([await make('leaf', low, { extensions: server }), low, middle]).fault).toBe('not-allowed');
  });

  test('for clients, at the end or above', async () => {
    const client = new x509.ExtendedKeyUsageExtension([CLIENT_AUTH]);
    expect(judge([await make('leaf', middle, { extensions: [names, client] }), middle]).fault).toBe('not-allowed');
    const clients = await make('clients', root, { extensions: [...ca(0), client] });
    expect(judge([await make('leaf', clients, { extensions: server }), clients]).fault).toBe('not-allowed');
  });

  test('with a critical extension that nobody here reads, or with name constraints that are none', async () => {
    const unknown = new x509.Extension('1.2.3.4', true, Uint8Array.of(5, 0));
    expect(judge([await make('leaf', middle, { extensions: [...server, unknown] }), middle]).fault).toBe('not-allowed');
    const constraints = new x509.Extension('2.5.29.30', false, Uint8Array.of(0x30, 0));
    const bound = await make('bound', root, { extensions: [...ca(0), constraints] });
    expect(judge([await make('leaf', bound, { extensions: server }), bound]).fault).toBe('not-allowed');
  });

  test('outside of the name constraints of a CA certificate above, the root among them', async () => {
    const [inside, outside] = [dnsConstraint('example.internal'), dnsConstraint('example.org')];
    const under = async (constraint: x509.Extension, top = root) => {
      const bound = await make('bound', top, { extensions: [...ca(0), constraint] });
      return judge([await make('leaf', bound, { extensions: server }), bound], undefined, top).fault;
    };
    expect(await under(inside)).toBeUndefined();
    expect(await under(outside)).toBe('not-allowed');
    const boundRoot = await make('root', undefined, { extensions: [...ca(1), outside] });
    expect(await under(inside, boundRoot)).toBe('not-allowed');
  });

  test('signed over SHA-1', async () => {
    const weak = await make('leaf', middle, { extensions: server, hash: 'SHA-1' });
    expect(judge([weak, middle]).fault).toBe('not-allowed');
  });
});

test('bytes that are no certificate, or too many of them, are no path', () => {
  const rootPem = pem(root);
  expect(judgePath({ presented: [Uint8Array.of(1)], root: rootPem, host: 'x' }).fault).toBe('malformed');
  const many = Array.from({ length: 17 }, () => new X509Certificate(rootPem).raw);
  expect(judgePath({ presented: many, root: rootPem, host: 'x' }).fault).toBe('malformed');
});
