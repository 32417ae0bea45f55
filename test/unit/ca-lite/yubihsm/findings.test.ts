/** What is wrong with a device, and that nothing is wrong with one that is set up by plan. */
import { expect, test } from 'vitest';
import { type Capability, capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import type { ObjectInfo } from '#ca-lite/yubihsm/commands/objects.ts';
import { findingsOf } from '#ca-lite/yubihsm/setup/findings.ts';
import type { Inspection } from '#ca-lite/yubihsm/setup/inspect.ts';
import { type HsmPlan, keyHeader, keysOf, roleHeader, rolesOf } from '#ca-lite/yubihsm/setup/plan.ts';

const origin = { generated: true, imported: false, importedUnderWrap: false };
const audited = new Map([0x47, 0x56, 0x5d, 0x6a].map((command) => [command, 'on'] as const));

function inspection(change: Partial<Inspection> = {}): Inspection {
  return {
    info: { firmware: [2, 4, 0], serial: 1, logTotal: 62, logUsed: 3, algorithms: [] },
    storage: { totalRecords: 256, freeRecords: 240, totalPages: 1024, freePages: 1000, pageSize: 126 },
    objects: [],
    templates: new Map(),
    factoryPasswordWorks: false,
    forceAudit: 'on',
    commandAudit: audited,
    log: { entries: 3, unloggedBoots: 0, unloggedAuthentications: 0 },
    ...change,
  };
}

function object(change: Partial<ObjectInfo>, ...capabilities: Capability[]): ObjectInfo {
  return {
    id: 0x21,
    type: 'asymmetric-key',
    sequence: 0,
    label: 'key',
    domains: 1,
    capabilities: capabilityBits(...capabilities),
    delegatedCapabilities: 0n,
    length: 96,
    algorithm: 'ed25519',
    origin,
    ...change,
  };
}

const template = {
  timestampModulus: new Uint8Array(256),
  caKeyIds: [5],
  notBeforeOffsetSeconds: 10,
  notAfterOffsetSeconds: 3600,
  forbiddenPrincipals: ['root'],
};

const codesOf = (change: Partial<Inspection>): string[] => findingsOf(inspection(change)).map(({ code }) => code);

const plans: HsmPlan[] = [
  { way: 'plain', kind: 'ed25519' },
  { way: 'plain', kind: 'ecp384' },
  {
    way: 'template',
    kind: 'rsa2048',
    notBeforeOffsetSeconds: 10,
    userNotAfterSeconds: 3600,
    hostNotAfterSeconds: 3600,
    forbiddenUserPrincipals: ['root'],
    timestampKey: 'device',
  },
];

test.each(plans)('nothing is wrong with a device that is set up by plan: %o', (plan) => {
  const keys = keysOf(plan).map((name) => object(keyHeader(name, plan)));
  const roles = rolesOf(plan).map((role) => {
    const { delegated, ...header } = roleHeader(role, plan);
    return object({ ...header, type: 'authentication-key', delegatedCapabilities: delegated });
  });
  expect(codesOf({ objects: [...keys, ...roles] })).toEqual([]);
});

const authenticationKey = { type: 'authentication-key', algorithm: 'aes128-yubico-authentication' } as const;
const safe = 'exportable-under-wrap';

test.each<[string, Partial<Inspection>, string[]]>([
  ['the password of the factory', { factoryPasswordWorks: true }, ['factory-password']],
  [
    'a signer that can also make keys',
    { objects: [object(authenticationKey, 'sign-eddsa', 'generate-asymmetric-key')] },
    ['signer-does-more'],
  ],
  [
    'a signer that delegates',
    { objects: [object({ ...authenticationKey, delegatedCapabilities: 1n }, 'sign-eddsa')] },
    ['signer-delegates'],
  ],
  [
    'a template key that also signs plainly',
    { objects: [object({ algorithm: 'rsa2048' }, 'sign-ssh-certificate', 'sign-pkcs', safe)] },
    ['ca-key-does-more'],
  ],
  ['a CA key that also decrypts', { objects: [object({}, 'sign-eddsa', 'decrypt-oaep', safe)] }, ['ca-key-does-more']],
  ['a CA key without a backup', { objects: [object({}, 'sign-eddsa')] }, ['ca-key-not-backed-up']],
  ['a wrap key', { objects: [object({ type: 'wrap-key', algorithm: 'aes256-ccm-wrap' })] }, ['wrap-key-left']],
  ['what is no template', { templates: new Map([[1, 'unreadable']]) }, ['template-unreadable']],
  [
    'a template without an end',
    { templates: new Map([[1, { ...template, notAfterOffsetSeconds: 0xffff_ffff }]]) },
    ['template-unlimited'],
  ],
  [
    'a user template that allows root',
    { templates: new Map([[0x0201, { ...template, forbiddenPrincipals: ['toor'] }]]) },
    ['root-not-forbidden'],
  ],
  [
    'a host template, which forbids nobody',
    { templates: new Map([[0x0202, { ...template, forbiddenPrincipals: [] }]]) },
    [],
  ],
  ['an audit that is not forced', { forceAudit: 'off' }, ['audit-not-forced']],
  ['signatures that leave no entry', { commandAudit: new Map([[0x6a, 'off']]) }, ['signatures-not-audited']],
  [
    'a log that nobody reads',
    { log: { entries: 60, unloggedBoots: 0, unloggedAuthentications: 0 } },
    ['log-nearly-full'],
  ],
  [
    'events that were not logged',
    { log: { entries: 1, unloggedBoots: 1, unloggedAuthentications: 0 } },
    ['unlogged-events'],
  ],
  [
    'a full store',
    { storage: { totalRecords: 256, freeRecords: 3, totalPages: 1024, freePages: 900, pageSize: 126 } },
    ['storage-nearly-full'],
  ],
])('%s is found', (_, change, codes) => {
  expect(codesOf(change)).toEqual(codes);
});

test('old firmware is dangerous with ECDSA keys, and a caution without', () => {
  const info = { ...inspection().info, firmware: [2, 3, 2] } as const;
  const ecdsa = [object({ algorithm: 'ecp256' }, 'sign-ecdsa', safe)];
  expect(findingsOf(inspection({ info, objects: ecdsa }))).toMatchObject([
    { code: 'old-firmware', severity: 'danger' },
  ]);
  expect(findingsOf(inspection({ info }))).toMatchObject([{ code: 'old-firmware', severity: 'caution' }]);
});

test('what the authentication key may not read is not found to be wrong', () => {
  expect(codesOf({ forceAudit: undefined, commandAudit: undefined, log: undefined })).toEqual([]);
});
