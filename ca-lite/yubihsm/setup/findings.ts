/**
 * What is wrong with the set-up of a device, as far as an inspection shows. Pure.
 *
 * Each finding says what, why it matters, and what to do.
 */
import { isKeyKind } from '../algorithms.ts';
import { type Capability, capabilityNames, hasCapability } from '../capabilities.ts';
import { compareFirmware } from '../commands/device.ts';
import type { ObjectInfo } from '../commands/objects.ts';
import { firmwareWarning } from '../firmware-warning.ts';
import { unlimitedOffset } from '../ssh-template.ts';
import type { AttestedState } from './attest.ts';
import type { Inspection } from './inspect.ts';
import { objectIds } from './plan.ts';

/** A finding: `danger` lets somebody misuse the CA, `caution` should be mended soon. */
export interface Finding {
  severity: 'danger' | 'caution';
  /** Stable, for scripts. */
  code: FindingCode;
  text: string;
}

export type FindingCode =
  | 'factory-password'
  | 'old-firmware'
  | 'signer-does-more'
  | 'signer-delegates'
  | 'ca-key-does-more'
  | 'ca-key-not-backed-up'
  | 'wrap-key-left'
  | 'template-unlimited'
  | 'template-unreadable'
  | 'root-not-forbidden'
  | 'audit-not-forced'
  | 'signatures-not-audited'
  | 'log-nearly-full'
  | 'unlogged-events'
  | 'storage-nearly-full'
  | 'attestation-wrong'
  | 'attestation-not-of-vendor';

const signing: readonly Capability[] = ['sign-pkcs', 'sign-pss', 'sign-ecdsa', 'sign-eddsa', 'sign-ssh-certificate'];
const withSigning: readonly Capability[] = [...signing, 'get-template', 'get-log-entries', 'get-option'];
const ofCaKey: readonly Capability[] = [...signing, 'exportable-under-wrap'];
const signatureCommands = [0x47, 0x56, 0x5d, 0x6a];

/** All findings, the dangers first. */
export function findingsOf(inspection: Inspection): Finding[] {
  const findings = [
    ...deviceFindings(inspection),
    ...inspection.objects.flatMap(objectFindings),
    ...templateFindings(inspection),
    ...auditFindings(inspection),
  ];
  return findings.toSorted((a, b) => Number(b.severity === 'danger') - Number(a.severity === 'danger'));
}

function deviceFindings({ factoryPasswordWorks, info, objects, storage }: Inspection): Finding[] {
  const findings: Finding[] = [];
  if (factoryPasswordWorks) {
    const text =
      'authentication key 1 still has the password of the factory: delete it, or set the device up with "hsm init"';
    findings.push({ severity: 'danger', code: 'factory-password', text });
  }
  const kinds = objects.map(({ algorithm }) => algorithm).filter(isKeyKind);
  const warning = firmwareWarning(info, kinds);
  if (warning) findings.push({ severity: 'danger', code: 'old-firmware', text: warning });
  else if (compareFirmware(info.firmware, [2, 4]) < 0) {
    const text = 'firmware before 2.4 takes 2,021 bytes in one message: certificates with many principals may not fit';
    findings.push({ severity: 'caution', code: 'old-firmware', text });
  }
  if (storage.freeRecords < 16 || storage.freePages < 32) {
    const text = 'the object store is nearly full: delete what is not needed';
    findings.push({ severity: 'caution', code: 'storage-nearly-full', text });
  }
  return findings;
}

function objectFindings(object: ObjectInfo): Finding[] {
  switch (object.type) {
    case 'authentication-key':
      return authenticationKeyFindings(object);
    case 'asymmetric-key':
      return asymmetricKeyFindings(object);
    case 'wrap-key':
      return [{ severity: 'caution', code: 'wrap-key-left', text: wrapKeyText(object) }];
    default:
      return [];
  }
}

function wrapKeyText(object: ObjectInfo): string {
  return `${nameOf(object)} is on the device: whoever has an authentication key with export-wrapped and the value of this wrap key has the CA keys; delete it when no backup is being made`;
}

/** Looks at authentication keys that can sign; others are administrators and auditors. */
function authenticationKeyFindings(object: ObjectInfo): Finding[] {
  const own = capabilityNames(object.capabilities);
  if (!own.some((capability) => signing.includes(capability))) return [];
  const findings: Finding[] = [];
  const more = own.filter((capability) => !withSigning.includes(capability));
  if (more.length > 0) {
    const text = `${nameOf(object)} can sign and also ${more.join(', ')}: a signer should do nothing else`;
    findings.push({ severity: 'danger', code: 'signer-does-more', text });
  }
  if (object.delegatedCapabilities !== 0n) {
    const text = `${nameOf(object)} can sign and has delegated capabilities: a signer should have none`;
    findings.push({ severity: 'caution', code: 'signer-delegates', text });
  }
  return findings;
}

function asymmetricKeyFindings(object: ObjectInfo): Finding[] {
  const findings: Finding[] = [];
  const own = capabilityNames(object.capabilities);
  const ways = own.filter((capability) => signing.includes(capability));
  const more = own.filter((capability) => !ofCaKey.includes(capability));
  if (ways.length > 1 || more.length > 0) {
    const text = `${nameOf(object)} may be used for ${own.join(', ')}: a CA key should sign in one way only${
      ways.includes('sign-ssh-certificate') ? ', or its template can be gone round' : ''
    }`;
    findings.push({ severity: 'danger', code: 'ca-key-does-more', text });
  }
  if (!hasCapability(object.capabilities, 'exportable-under-wrap')) {
    const text = `${nameOf(object)} cannot be exported under a wrap key, so it has no backup and dies with the device`;
    findings.push({ severity: 'caution', code: 'ca-key-not-backed-up', text });
  }
  return findings;
}

function templateFindings({ templates }: Inspection): Finding[] {
  return [...templates].flatMap(([id, template]): Finding[] => {
    const name = `template 0x${id.toString(16).padStart(4, '0')}`;
    if (template === 'unreadable') {
      return [{ severity: 'danger', code: 'template-unreadable', text: `${name} is not an SSH template` }];
    }
    const findings: Finding[] = [];
    if (template.notAfterOffsetSeconds === unlimitedOffset) {
      findings.push({ severity: 'danger', code: 'template-unlimited', text: `${name} sets no end to certificates` });
    }
    if (id === objectIds.userTemplate && !template.forbiddenPrincipals.includes('root')) {
      const text = `${name} lets the device sign user certificates for root: whoever takes the CA over is root on every host`;
      findings.push({ severity: 'caution', code: 'root-not-forbidden', text });
    }
    return findings;
  });
}

function auditFindings({ forceAudit, commandAudit, log, info }: Inspection): Finding[] {
  const findings: Finding[] = [];
  if (forceAudit === 'off') {
    const text = 'the audit is not forced: entries that nobody has read are overwritten';
    findings.push({ severity: 'caution', code: 'audit-not-forced', text });
  }
  if (commandAudit && signatureCommands.some((command) => (commandAudit.get(command) ?? 'off') === 'off')) {
    const text = 'not every kind of signature is written into the log of the device';
    findings.push({ severity: 'caution', code: 'signatures-not-audited', text });
  }
  if (log && log.entries > info.logTotal * 0.9) {
    const text = `the log has ${log.entries} of ${info.logTotal} entries: is the CA running, and does it know the auditor's password?`;
    findings.push({ severity: 'caution', code: 'log-nearly-full', text });
  }
  if (log && log.unloggedBoots + log.unloggedAuthentications > 0) {
    const text = `${log.unloggedBoots} starts and ${log.unloggedAuthentications} authentications found the log full and are not in it`;
    findings.push({ severity: 'caution', code: 'unlogged-events', text });
  }
  return findings;
}

function nameOf({ type, id, label }: ObjectInfo): string {
  return `${type} 0x${id.toString(16).padStart(4, '0')} ("${label}")`;
}

/** What attestations say against a device. */
export function attestationFindings(state: AttestedState | undefined): Finding[] {
  if (state?.verdict === 'wrong') {
    const text =
      'the CA keys in this device are not those that were attested when it was set up: somebody put others in their place, or changed the file';
    return [{ severity: 'danger', code: 'attestation-wrong', text }];
  }
  if (state?.vendor !== false) return [];
  const text =
    'what attests the CA keys does not lead to the certificates of the vendor that you gave: it may be no YubiHSM that holds them';
  return [{ severity: 'danger', code: 'attestation-not-of-vendor', text }];
}
