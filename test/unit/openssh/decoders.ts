/**
 * Every decoder of the room with inputs that it accepts: what the fuzz tests feed to. `fuzz.test.ts` fails when a decoder of
 * the room is missing here, so a new one is fuzzed from its first day.
 */
import { decodeAgentReply, encodeIdentities, encodeQueryReply, encodeSignatureReply } from '#openssh/agent-reply.ts';
import { decodeAgentRequest, encodeAddRequest, encodeListRequest, encodeSignRequest } from '#openssh/agent-request.ts';
import { decodeHostKey, decodeSessionBind, encodeSessionBind, verifySessionBind } from '#openssh/agent-session-bind.ts';
import { formatAllowedSigner, parseAllowedSigner } from '#openssh/allowed-signers.ts';
import { decodeBase64, decodeBase64Url } from '#openssh/base64.ts';
import { formatCertificateLine, parseCertificateLine } from '#openssh/certificate-line.ts';
import { parseNetworkList, viewCertificateOptions } from '#openssh/certificate-options.ts';
import { decodeCertificate, decodeToBeSigned, verifyCertificateSignature } from '#openssh/certificate.ts';
import { readDer, readDerInside } from '#openssh/der.ts';
import { fingerprintOf, parseFingerprint } from '#openssh/fingerprint.ts';
import { readPrivateKey, readPublicKey } from '#openssh/foreign-key.ts';
import { findHostKeyStatus, formatKnownHosts, parseKnownHosts } from '#openssh/known-hosts.ts';
import { createKrl, decodeKrl, encodeKrl } from '#openssh/krl.ts';
import { isRevoked } from '#openssh/krl-check.ts';
import { parseDerPrivateKey, parsePemPrivateKey } from '#openssh/pem-private-key.ts';
import { findPemBlock } from '#openssh/pem.ts';
import { type PrivateKeyFields, readPrivateKeyFields, writePrivateKeyFields } from '#openssh/private-key-fields.ts';
import { decodeOpensshPrivateKey, encodePrivateKey, parsePrivateKey, parseSoftwareKey } from '#openssh/private-key.ts';
import {
  decodePublicKey,
  encodePublicKey,
  formatPublicKeyLine,
  parsePublicKeyLine,
  publicKeyObject,
} from '#openssh/public-key.ts';
import { SerialSet } from '#openssh/serial-set.ts';
import { decodeSignature, encodeSignature, verifySignature } from '#openssh/signature.ts';
import {
  armorSshsig,
  dearmorSshsig,
  dearmorSshsigs,
  decodeSshsig,
  encodeSshsig,
  encodeSshsigToBeSigned,
  verifySshsig,
} from '#openssh/sshsig.ts';
import { WireReader, WireWriter, decodeText } from '#openssh/wire.ts';
import {
  bytes,
  sampleCa,
  sampleCertificate,
  sampleKeys,
  sampleTypes,
  signSample,
  softwareTypes,
  vector,
} from './samples.ts';

export interface Decoder {
  readonly name: string;
  /** The exported functions that `decode` goes through. */
  readonly covers: readonly string[];
  readonly decode: (input: Uint8Array) => unknown;
  readonly samples: readonly Uint8Array[];
  /** True when no sample may end earlier or later: every strict prefix and every byte too many is refused. */
  readonly isExact?: boolean;
  /** How many inputs to derive from one sample by changing bits; default 1,500. */
  readonly runs?: number;
}

const text = (input: Uint8Array): string => Buffer.from(input).toString('utf8');
const message = bytes('message');
const random = { checkInt: 1, salt: new Uint8Array(16).fill(1) };
const passphrase = bytes('geheim');
const certificates = sampleTypes.map((type) => sampleCertificate({ key: sampleKeys[type].publicKey }));
const certificate = sampleCertificate();

const sshsigs = sampleTypes.map((type) => {
  const key = sampleKeys[type];
  const signature = signSample(key, encodeSshsigToBeSigned(message, 'n'));
  const keyBlob = type === 'ssh-ed25519' ? certificate.blob : encodePublicKey(key.publicKey);
  return encodeSshsig({ keyBlob, namespace: 'n', signature });
});

const krl = createKrl({
  number: 1n,
  generatedDate: 2n,
  comment: 'comment',
  certificates: [
    { ca: encodePublicKey(sampleCa.publicKey), serials: SerialSet.of([1n, 3n, 4n, 9n, 1n << 50n]), keyIds: ['a', 'b'] },
    { serials: SerialSet.of([{ first: 5n, last: 5000n }]) },
  ],
  keys: [encodePublicKey(sampleKeys['ssh-ed25519'].publicKey)],
  sha1Fingerprints: [new Uint8Array(20)],
  sha256Fingerprints: [new Uint8Array(32), new Uint8Array(32).fill(1)],
});

const fields: PrivateKeyFields[] = sampleTypes.map((type) => {
  const { publicKey, privateKey } = sampleKeys[type];
  if (!('application' in publicKey)) return { publicKey, privateKey };
  return { publicKey, flags: 1, keyHandle: bytes('handle'), reserved: new Uint8Array() };
});
const fieldsWire = [
  ...fields,
  ...fields.map((own) => ({ ...own, certificate: sampleCertificate({ key: own.publicKey }) })),
].map((own) => {
  const writer = new WireWriter();
  writePrivateKeyFields(own, writer);
  return writer.finish();
});

const opensshFiles = fields.map((own) => bytes(encodePrivateKey({ ...own, comment: 'c' }, { random })));
const encryptedFile = bytes(
  encodePrivateKey({ ...fields[0], comment: 'c' } as Parameters<typeof encodePrivateKey>[0], {
    random,
    passphrase,
    rounds: 1,
  }),
);
const binary = (file: Uint8Array): Uint8Array => decodeBase64(text(file).split('\n').slice(1, -2).join(''));
const derKeys = softwareTypes.map((type) => sampleKeys[type].privateKey.export({ format: 'der', type: 'pkcs8' }));
const otherDer = [
  sampleKeys['ssh-rsa'].privateKey.export({ format: 'der', type: 'pkcs1' }),
  sampleKeys['ecdsa-sha2-nistp256'].privateKey.export({ format: 'der', type: 'sec1' }),
];
const encryptedDer = sampleKeys['ssh-ed25519'].privateKey.export({
  format: 'der',
  type: 'pkcs8',
  cipher: 'aes-256-cbc',
  passphrase: 'geheim',
});
const publicPem = publicKeyObject(sampleKeys['ssh-ed25519'].publicKey).export({ format: 'pem', type: 'spki' });

const publicLine = formatPublicKeyLine(sampleKeys['ssh-ed25519'].publicKey, 'a comment');
const knownHosts = [
  '# comment',
  `host,*.example.com ${publicLine}`,
  `@cert-authority !a,* ${formatPublicKeyLine(sampleCa.publicKey)}`,
  `|1|${'AAAA'.repeat(6)}AAA=|${'AAAA'.repeat(6)}AAA= ${publicLine}`,
  '',
].join('\n');

const bind = encodeSessionBind({
  hostKeyBlob: sampleCertificate({ type: 'host' }).blob,
  sessionId: message,
  signature: encodeSignature(signSample(sampleKeys['ssh-ed25519'], message)),
  isForwarding: false,
});

export const decoders: readonly Decoder[] = [
  {
    name: 'text',
    covers: ['decodeText'],
    decode: decodeText,
    samples: [bytes('grüße 🔑')],
  },
  {
    name: 'base64',
    covers: ['decodeBase64'],
    decode: (input) => decodeBase64(text(input)),
    samples: [bytes('Zm9vYmFyZg==')],
  },
  {
    name: 'base64url',
    covers: ['decodeBase64Url'],
    decode: (input) => decodeBase64Url(text(input)),
    samples: [bytes('Zm9v-_FyZg')],
  },
  {
    name: 'fingerprint',
    covers: ['parseFingerprint'],
    decode: (input) => parseFingerprint(text(input)),
    samples: [bytes(fingerprintOf(message))],
    isExact: true,
  },
  {
    name: 'public key',
    covers: ['decodePublicKey', 'readPublicKeyFields'],
    decode: (input) => publicKeyObject(decodePublicKey(input)),
    samples: sampleTypes.map((type) => encodePublicKey(sampleKeys[type].publicKey)),
    isExact: true,
  },
  {
    name: 'public key line',
    covers: ['parsePublicKeyLine'],
    decode: (input) => parsePublicKeyLine(text(input)),
    samples: [bytes(publicLine)],
  },
  ...sampleTypes.map((type) => ({
    name: `signature of ${type}`,
    covers: ['decodeSignature'],
    decode: (input: Uint8Array) => verifySignature(sampleKeys[type].publicKey, message, decodeSignature(type, input)),
    samples: [encodeSignature(signSample(sampleKeys[type], message))],
    isExact: true,
    runs: 400,
  })),
  {
    name: 'certificate',
    covers: ['decodeCertificate', 'viewCertificateOptions'],
    decode: (input) => {
      const decoded = decodeCertificate(input);
      viewCertificateOptions(decoded);
      return verifyCertificateSignature(decoded);
    },
    samples: certificates.map(({ blob }) => blob),
    isExact: true,
    runs: 500,
  },
  {
    name: 'certificate to be signed',
    covers: ['decodeToBeSigned'],
    decode: decodeToBeSigned,
    samples: certificates.map(({ signedBytes }) => signedBytes),
    isExact: true,
    runs: 500,
  },
  {
    name: 'certificate line',
    covers: ['parseCertificateLine'],
    decode: (input) => parseCertificateLine(text(input)),
    samples: [bytes(formatCertificateLine(certificate, 'a comment'))],
  },
  {
    name: 'network list',
    covers: ['parseNetworkList'],
    decode: (input) => parseNetworkList(text(input)),
    samples: [bytes('192.0.2.0/24,2001:db8::/32,::1')],
  },
  {
    name: 'SSHSIG',
    covers: ['decodeSshsig'],
    decode: (input) => verifySshsig(decodeSshsig(input), message, 'n'),
    samples: sshsigs,
    isExact: true,
    runs: 250,
  },
  {
    name: 'SSHSIG armor',
    covers: ['dearmorSshsig'],
    decode: (input) => decodeSshsig(dearmorSshsig(text(input))),
    samples: sshsigs.slice(0, 2).map((blob) => bytes(armorSshsig(blob))),
  },
  {
    name: 'SSHSIG armors',
    covers: ['dearmorSshsigs'],
    decode: (input) => dearmorSshsigs(text(input)).map((blob) => decodeSshsig(blob)),
    samples: [
      bytes(
        sshsigs
          .slice(0, 2)
          .map((blob) => armorSshsig(blob))
          .join(''),
      ),
    ],
    runs: 500,
  },
  {
    name: 'KRL',
    covers: ['decodeKrl', 'readSerialSection'],
    decode: (input) => isRevoked(decodeKrl(input), certificate),
    samples: [encodeKrl(krl)],
  },
  {
    name: 'known_hosts',
    covers: ['parseKnownHosts'],
    decode: (input) => {
      const lines = parseKnownHosts(input);
      formatKnownHosts(lines);
      return findHostKeyStatus(lines, { host: 'a.example.com', port: 2222 }, certificate);
    },
    samples: [bytes(knownHosts)],
  },
  {
    name: 'allowed signers line',
    covers: ['parseAllowedSigner'],
    decode: (input) => parseAllowedSigner(text(input)),
    samples: [
      bytes(
        formatAllowedSigner({
          principals: ['a@b', '*'],
          certAuthority: true,
          namespaces: ['n', 'm'],
          validAfter: 1n,
          key: sampleCa.publicKey,
        }),
      ),
    ],
  },
  {
    name: 'private key fields',
    covers: ['readPrivateKeyFields'],
    decode: (input) => {
      const reader = new WireReader(input);
      readPrivateKeyFields(reader);
      reader.end();
    },
    samples: fieldsWire,
    isExact: true,
    runs: 80,
  },
  {
    name: 'openssh-key-v1',
    covers: ['decodeOpensshPrivateKey'],
    decode: (input) => decodeOpensshPrivateKey(input),
    samples: opensshFiles.map(binary),
    runs: 100,
  },
  {
    name: 'openssh-key-v1 with a passphrase',
    covers: ['decodeOpensshPrivateKey'],
    decode: (input) => {
      // Rounds alone decide how long a try takes, up to 4 s by the bound on them: they stay 1 here.
      const at = Buffer.from(input).indexOf(Buffer.from(random.salt)) + random.salt.length;
      if (at >= random.salt.length && at + 4 <= input.length) new DataView(input.buffer).setUint32(at, 1);
      else if (input.length > 60) return;
      decodeOpensshPrivateKey(input, passphrase);
    },
    samples: [binary(encryptedFile)],
    runs: 20,
  },
  {
    name: 'private key file',
    covers: ['parsePrivateKey', 'parseSoftwareKey', 'findPemBlock', 'parsePemPrivateKey'],
    decode: (input) => {
      parsePemPrivateKey(findPemBlock(input, () => true));
      return parseSoftwareKey(input);
    },
    samples: [bytes(sampleKeys['ecdsa-sha2-nistp256'].privateKey.export({ format: 'pem', type: 'sec1' }))],
    runs: 300,
  },
  {
    name: 'OpenSSH private key file',
    covers: ['parsePrivateKey'],
    decode: (input) => parsePrivateKey(input),
    samples: [opensshFiles[0] ?? message],
    runs: 300,
  },
  {
    name: 'PEM with old encryption',
    covers: ['parsePrivateKey'],
    decode: (input) => parsePrivateKey(input, bytes('mekmitasdigoat')),
    samples: [vector('ecdsa_1_pw')],
    runs: 300,
  },
  {
    name: 'DER',
    covers: ['readDer', 'readDerInside'],
    decode: (input) => readDerInside(readDer(input)[0]),
    samples: otherDer.map((der) => new Uint8Array(der)),
    isExact: true,
  },
  {
    name: 'DER private key',
    covers: ['parseDerPrivateKey'],
    decode: (input) => parseDerPrivateKey(input),
    samples: [...derKeys, ...otherDer].map((der) => new Uint8Array(der)),
    isExact: true,
    runs: 100,
  },
  {
    name: 'encrypted DER private key',
    covers: ['parseDerPrivateKey'],
    decode: (input) => parseDerPrivateKey(input, passphrase),
    samples: [new Uint8Array(encryptedDer)],
    isExact: true,
    runs: 100,
  },
  {
    name: 'foreign private key',
    covers: ['readPrivateKey'],
    decode: async (input) => readPrivateKey(input, passphrase),
    samples: [vector('ed25519_1.ppk'), vector('ed25519_1_pw.ppk')],
    runs: 300,
  },
  {
    name: 'foreign public key',
    covers: ['readPublicKey'],
    decode: (input) => readPublicKey(input),
    samples: [vector('ed25519_1.ppk'), vector('ed25519_1.rfc4716'), bytes(publicPem), bytes(publicLine)],
    runs: 500,
  },
  {
    name: 'agent request',
    covers: ['decodeAgentRequest', 'readConstraints', 'readDestinationConstraints'],
    decode: (input) => decodeAgentRequest(input),
    samples: [
      encodeListRequest(),
      encodeSignRequest({ keyBlob: certificate.blob, data: message, flags: 4 }),
      encodeAddRequest({
        fields: fields[0] as PrivateKeyFields,
        comment: message,
        constraints: { lifetimeSeconds: 60, confirm: true },
      }),
    ],
    runs: 500,
  },
  {
    name: 'agent reply',
    covers: ['decodeAgentReply'],
    decode: (input) => decodeAgentReply(input),
    samples: [
      encodeIdentities([{ blob: certificate.blob, comment: message }]),
      encodeSignatureReply(encodeSignature(signSample(sampleCa, message))),
      encodeQueryReply(['query', 'session-bind@openssh.com']),
    ],
    runs: 500,
  },
  {
    name: 'session bind',
    covers: ['decodeSessionBind', 'decodeHostKey'],
    decode: (input) => {
      const decoded = decodeSessionBind(input);
      decodeHostKey(decoded.hostKeyBlob);
      return verifySessionBind(decoded);
    },
    samples: [bind],
    isExact: true,
  },
];
