/**
 * What a device is set up with: which objects, in which domains, and who may do what. Pure.
 *
 * Least privilege: the signer can sign and nothing else; the auditor can read and free the log; the keeper of the
 * timestamp key can sign timestamps in a domain that the signer does not see; the administrator can make, delete and back
 * up, but not sign. A wrap key is on a device only while a backup is made or restored.
 */
import { type Capability, capabilityBits } from '../capabilities.ts';
import type { AsymmetricHeader } from '../commands/asymmetric.ts';
import type { AuthenticationKeyHeader } from '../commands/authentication-key.ts';
import type { ObjectHeader } from '../commands/objects.ts';
import type { WrapKeyHeader } from '../commands/wrap.ts';
import { type KeyKind, keyKinds } from '../algorithms.ts';
import { allDomains, domainBits } from '../domains.ts';

/** The kinds of RSA key, for CA keys under a template. */
export type RsaKind = 'rsa2048' | 'rsa3072' | 'rsa4096';

/** What is chosen when a device is set up. */
export type HsmPlan = PlainPlan | TemplatePlan;

/** CA keys that sign whatever they are given. */
export interface PlainPlan {
  way: 'plain';
  kind: KeyKind;
}

/** CA keys that sign only what their template allows. */
export interface TemplatePlan {
  way: 'template';
  kind: RsaKind;
  /** A certificate starts so many seconds after its timestamp at the earliest; 1 to 60 keeps every reading of it strict. */
  notBeforeOffsetSeconds: number;
  /** A user certificate ends so many seconds after its timestamp at the latest. */
  userNotAfterSeconds: number;
  hostNotAfterSeconds: number;
  forbiddenUserPrincipals: string[];
  /** Where the timestamp key lives. */
  timestampKey: 'file' | 'device';
}

/** The ids of everything that a set-up makes. */
export const objectIds = {
  administrator: 0x0010,
  signer: 0x0011,
  auditor: 0x0012,
  timekeeper: 0x0013,
  userCa: 0x0101,
  hostCa: 0x0102,
  timestamp: 0x0103,
  userTemplate: 0x0201,
  hostTemplate: 0x0202,
  wrapKey: 0x0301,
} as const;

const domains = { userCa: 1, hostCa: 2, timestamp: 3 } as const;

/** Who may do what. */
export type Role = 'administrator' | 'signer' | 'auditor' | 'timekeeper';

const administration: readonly Capability[] = [
  'generate-asymmetric-key',
  'delete-asymmetric-key',
  'put-authentication-key',
  'delete-authentication-key',
  'change-authentication-key',
  'put-wrap-key',
  'delete-wrap-key',
  'export-wrapped',
  'import-wrapped',
  'put-template',
  'get-template',
  'delete-template',
  'set-option',
  'get-option',
  'get-log-entries',
  'get-pseudo-random',
  'sign-attestation-certificate',
  'get-opaque',
  'reset-device',
];

/** What the administrator may hand on to what it makes, beside its own capabilities. */
const handedOn: readonly Capability[] = [
  'sign-pkcs',
  'sign-ecdsa',
  'sign-eddsa',
  'sign-ssh-certificate',
  'exportable-under-wrap',
];

/** The capability with which the CA keys of a plan sign. */
export function signingCapability(plan: HsmPlan): Capability {
  return plan.way === 'template' ? 'sign-ssh-certificate' : keyKinds[plan.kind].capability;
}

/** The capabilities of a role. */
export function roleCapabilities(role: Role, plan: HsmPlan): readonly Capability[] {
  switch (role) {
    case 'administrator':
      return administration;
    case 'signer':
      return plan.way === 'template' ? ['sign-ssh-certificate', 'get-template'] : [signingCapability(plan)];
    case 'auditor':
      return ['get-log-entries', 'get-option', 'get-template'];
    case 'timekeeper':
      return ['sign-pkcs'];
  }
}

/** The roles that a plan has. */
export function rolesOf(plan: HsmPlan): Role[] {
  const common: Role[] = ['administrator', 'signer', 'auditor'];
  return plan.way === 'template' && plan.timestampKey === 'device' ? [...common, 'timekeeper'] : common;
}

/** The authentication key of a role. */
export function roleHeader(role: Role, plan: HsmPlan): AuthenticationKeyHeader {
  const own = roleCapabilities(role, plan);
  const roleDomains = {
    administrator: allDomains,
    signer: domainBits(domains.userCa, domains.hostCa),
    auditor: allDomains,
    timekeeper: domainBits(domains.timestamp),
  } as const;
  return {
    id: objectIds[role],
    label: `countersign ${role}`,
    domains: roleDomains[role],
    capabilities: capabilityBits(...own),
    delegated: role === 'administrator' ? capabilityBits(...own, ...handedOn) : 0n,
  };
}

/** A CA key, or the timestamp key. */
export function keyHeader(which: 'userCa' | 'hostCa' | 'timestamp', plan: HsmPlan): AsymmetricHeader {
  const sign = which === 'timestamp' ? 'sign-pkcs' : signingCapability(plan);
  return {
    id: objectIds[which],
    label: { userCa: 'countersign user CA', hostCa: 'countersign host CA', timestamp: 'countersign timestamp' }[which],
    domains: domainBits(domains[which]),
    capabilities: capabilityBits(sign, 'exportable-under-wrap'),
    algorithm: which === 'timestamp' ? 'rsa2048' : plan.kind,
  };
}

/** The asymmetric keys that a plan puts into the device. */
export function keysOf(plan: HsmPlan): ('userCa' | 'hostCa' | 'timestamp')[] {
  const timestamp = plan.way === 'template' && plan.timestampKey === 'device';
  return timestamp ? ['userCa', 'hostCa', 'timestamp'] : ['userCa', 'hostCa'];
}

/** The template of a CA key. */
export function templateHeader(which: 'userTemplate' | 'hostTemplate'): Omit<ObjectHeader, 'algorithm'> {
  const domain = which === 'userTemplate' ? domains.userCa : domains.hostCa;
  const label = which === 'userTemplate' ? 'countersign user template' : 'countersign host template';
  return { id: objectIds[which], label, domains: domainBits(domain), capabilities: 0n };
}

/** The wrap key: what it may carry is what the keys of a plan can do, and no authentication key. */
export function wrapKeyHeader(): WrapKeyHeader {
  return {
    id: objectIds.wrapKey,
    label: 'countersign backup',
    domains: domainBits(...Object.values(domains)),
    capabilities: capabilityBits('export-wrapped', 'import-wrapped'),
    delegated: capabilityBits(...handedOn),
  };
}
