/** `countersign-ca certs` and `countersign-ca show SERIAL`: the certificates on record. */
import { encodeBase64 } from '#openssh/base64.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { CommandError } from '../command-error.ts';
import { DEVICE_SIGNATURE, readDeviceSignature } from '../audit/device-log-entry.ts';
import type { CertificateRecord } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printFacts, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

/** A certificate and its timestamp, each asked for twice. */
const MAX_SIGNATURES = 8;

export interface CertsOptions {
  readonly dir: string;
  readonly type?: 'host' | 'user';
  readonly principal?: string;
  /** As the column ID shows it. */
  readonly user?: string;
  readonly key?: string;
  readonly valid?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function certs(options: CertsOptions): Promise<void> {
  await using store = await openReader(options.dir);
  const { type, principal, user: identity, key: keyFingerprint } = options;
  const filter = {
    type,
    principal,
    identity,
    keyFingerprint,
    ...(options.valid === true ? { validAt: nowInSeconds() } : {}),
  };
  const found = await take(options.limit, (cursor) => store.certificates(filter, { limit: PAGE_LENGTH, cursor }));
  if (options.json === true) return printJson(found.map(jsonOf));
  const rows = found.map((record) => [
    record.serial,
    record.type,
    stateOf(record),
    record.principals.join(','),
    formatTime(record.validBefore),
    record.keyFingerprint,
    identityOf(record),
  ]);
  printTable(['SERIAL', 'TYPE', 'STATE', 'PRINCIPALS', 'VALID BEFORE', 'KEY', 'ID'], rows, 'No certificates.');
}

export async function show(
  serial: bigint,
  { dir, json }: { readonly dir: string; readonly json?: boolean },
): Promise<void> {
  await using store = await openReader(dir);
  const record = await store.certificate(serial);
  if (record === null)
    throw new CommandError(
      `This CA has no certificate with serial ${serial}. List them with: countersign-ca certs --dir ${dir}`,
    );
  const signatures = await deviceSignatures(store, serial);
  if (json === true) return printJson({ ...jsonOf(record), deviceSignatures: signatures });
  printFacts([
    ['Serial', record.serial],
    ['Type', record.type],
    ['State', stateOf(record)],
    ['Key', record.keyFingerprint],
    ['Key ID', record.keyId],
    ...(record.type === 'user' ? ([['User', identityOf(record)]] as const) : []),
    ['Principals', record.principals.join(', ')],
    ['Valid', `${formatTime(record.validAfter)} to ${formatTime(record.validBefore)}`],
    ['Provisioner', record.provisioner],
    ['Requested from', record.requester],
    ['Recorded', formatTime(record.intendedAt)],
    ['Finished', formatTime(record.finishedAt)],
    ...signatures.map(({ device, entry }): [string, string] => ['Signed by', `${device}, entry ${entry} of its log`]),
  ]);
  const line = lineOf(record);
  if (line !== null) process.stdout.write(`${line}\n`);
}

/** Where the logs of HSMs have the signature; they are read a while after it was made. */
async function deviceSignatures(
  store: StoreReader,
  serial: bigint,
): Promise<{ device: string | null; entry: number; by: 'session' | 'record' }[]> {
  const entries = await take(MAX_SIGNATURES, (cursor) =>
    store.audit({ serial, action: DEVICE_SIGNATURE }, { limit: MAX_SIGNATURES, cursor }),
  );
  return entries.flatMap(({ subject, details }) => {
    const signature = readDeviceSignature(details);
    return signature === undefined ? [] : [{ device: subject.name, ...signature }];
  });
}

function stateOf({ state, validBefore }: CertificateRecord): string {
  return state === 'issued' && validBefore <= nowInSeconds() ? 'expired' : state;
}

function jsonOf(record: CertificateRecord): Record<string, unknown> {
  const { signedBytes: _, certificate: __, ...facts } = record;
  const times = { validAfter: formatTime(record.validAfter), validBefore: formatTime(record.validBefore) };
  return {
    ...facts,
    ...times,
    intendedAt: formatTime(record.intendedAt),
    finishedAt: formatTime(record.finishedAt),
    state: stateOf(record),
    certificate: lineOf(record),
  };
}

/** What `grant --user` and `revoke --user` take of a user; of a host its key ID. */
function identityOf({ identity, keyId }: CertificateRecord): string {
  return (identity ?? keyId).replace(/\p{C}/gu, '');
}

/** As a `-cert.pub` file has it. */
function lineOf({ certificate, keyId }: CertificateRecord): string | null {
  if (certificate === null) return null;
  const { certificateType } = keyTypes[decodeCertificate(certificate).key.type];
  return `${certificateType} ${encodeBase64(certificate)} ${keyId.replace(/\p{C}/gu, '')}`;
}
