/** `countersign-ca hsm status`: shows a device, what each key may do, and what is wrong with it. */
import { existsSync } from 'node:fs';
import { printFacts, printJson, printTable } from '../../cli/output.ts';
import { capabilityNames } from '../capabilities.ts';
import { openConnector } from '../connector.ts';
import { domainNumbers } from '../domains.ts';
import { keysFromPassword } from '../scp03.ts';
import { explained } from './explained.ts';
import { type AttestedState, judgeAttestations, parseAttestations, parseCertificates } from './attest.ts';
import { attestationFindings, type Finding, findingsOf } from './findings.ts';
import { type Inspection, inspectHsm } from './inspect.ts';
import { readPassword, terminalPerson } from './person.ts';
import { objectIds } from './plan.ts';
import { attestationFile, readText, secretFile } from './secret-files.ts';

/** Options that every command of a device has. */
export interface DeviceOptions {
  readonly dir: string;
  readonly connector: string;
  readonly json?: boolean;
}

/** `hsm status` */
export interface StatusOptions extends DeviceOptions {
  readonly authKey?: number;
  readonly passwordFile?: string;
  readonly passwordFd?: number;
  readonly vendorCertificates?: string;
}

/** More capabilities than these are counted, not listed. */
const listedCapabilities = 12;

/** Shows the device. The exit status is 1 when something on it is dangerous. */
export async function status(options: StatusOptions): Promise<void> {
  const { connector: url, passwordFile, passwordFd, dir, authKey = objectIds.auditor } = options;
  await using connector = openConnector(url);
  const given = passwordFile !== undefined || passwordFd !== undefined;
  const source = given ? { file: passwordFile, descriptor: passwordFd } : { file: secretFile(dir, 'auditor') };
  const password = await readPassword('password of the authentication key', source, terminalPerson);
  const keys = await keysFromPassword(password);
  const inspection = await explained(async () => inspectHsm({ connector, authKeyId: authKey, keys }));
  const attested = await explained(async () => attestedState(options, inspection));
  const findings = [...attestationFindings(attested), ...findingsOf(inspection)];
  if (findings.some(({ severity }) => severity === 'danger')) process.exitCode = 1;
  if (options.json === true)
    printJson({ ...describeDevice(inspection), attested, objects: describeObjects(inspection), findings });
  else print(inspection, findings, attested);
}

/** What the attestations that were kept at the set-up say of the keys that are in the device now. */
async function attestedState(
  { dir, vendorCertificates }: StatusOptions,
  { caKeys }: Inspection,
): Promise<AttestedState | undefined> {
  const file = attestationFile(dir);
  if (caKeys === undefined || !existsSync(file)) return undefined;
  const vendor = vendorCertificates === undefined ? undefined : parseCertificates(readText(vendorCertificates));
  return judgeAttestations(parseAttestations(readText(file)), caKeys, vendor);
}

function describeAttested(attested: AttestedState | undefined): string {
  if (attested === undefined) return 'nothing is attested';
  if (attested.verdict === 'wrong') return 'WRONG: see below';
  const made = `made in device ${attested.serial}, which attested it`;
  return attested.vendor === true ? `${made}; the vendor vouches for the device` : made;
}

function describeDevice({ info, storage, log, forceAudit }: Inspection): object {
  return { serial: info.serial, firmware: info.firmware.join('.'), storage, log, forceAudit };
}

function describeObjects({ objects }: Inspection): {
  id: string;
  type: string;
  algorithm: string;
  domains: number[];
  capabilities: string[];
  label: string;
}[] {
  return objects.map((object) => ({
    id: `0x${object.id.toString(16).padStart(4, '0')}`,
    type: object.type,
    algorithm: object.algorithm ?? 'unknown',
    domains: domainNumbers(object.domains),
    capabilities: capabilityNames(object.capabilities),
    label: object.label,
  }));
}

function print(inspection: Inspection, findings: readonly Finding[], attested: AttestedState | undefined): void {
  const { info, storage, log, forceAudit } = inspection;
  printFacts([
    ['Device', info.serial],
    ['Firmware', info.firmware.join('.')],
    ['Free objects', `${storage.freeRecords} of ${storage.totalRecords}`],
    ['Log', log ? `${log.entries} of ${info.logTotal} entries` : 'not for this authentication key'],
    ['CA keys', describeAttested(attested)],
    ['Audit forced', forceAudit ?? 'not for this authentication key'],
  ]);
  const rows = describeObjects(inspection).map(({ id, type, algorithm, domains, capabilities, label }) => {
    const many = capabilities.length > listedCapabilities;
    const may = many ? `${capabilities.length} capabilities` : capabilities.join(' ');
    return [id, type, algorithm, domains.length === 16 ? 'all' : domains.join(' '), may, label];
  });
  process.stdout.write('\n');
  printTable(['ID', 'TYPE', 'ALGORITHM', 'DOMAINS', 'MAY', 'LABEL'], rows, 'There is nothing on the device.');
  process.stdout.write('\n');
  const found = findings.map(({ severity, text }) => [severity, text]);
  printTable(['SEVERITY', 'WHAT'], found, 'Nothing was found to be wrong.');
}
