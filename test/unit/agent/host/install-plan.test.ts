import { describe, expect, test } from 'vitest';
import { type InstallFacts, type NewCertificate, candidateConfig, planInstall } from '#agent/host/install-plan.ts';
import type { HostRecord } from '#agent/host/host-record.ts';
import { decodeConfig } from '#agent/host/sshd-config-text.ts';
import { sampleCaKey, sampleCertificate, sampleHostKey } from './host-key-sample.ts';

const etc = '/etc/ssh';
const [ed25519, rsa] = [sampleHostKey('ed25519'), sampleHostKey('rsa')];

function certified(key: typeof ed25519): NewCertificate {
  const { path, fingerprint } = key;
  const identity = { names: ['web1.example.internal'], addresses: ['192.0.2.7'], port: 22 };
  return {
    key: { path, fingerprint, certificate: `${path}-cert.pub`, ...identity },
    certificate: sampleCertificate(key),
  };
}

function facts(difference: Partial<InstallFacts> = {}): InstallFacts {
  return {
    authorityUrl: 'https://ca.example.internal:8443',
    sshd: { configPath: `${etc}/sshd_config`, sshd: null, sshdConfig: null, reload: null },
    userCaKeys: [sampleCaKey],
    revokedKeys: null,
    certificates: [certified(ed25519)],
    record: undefined,
    hostKeys: [ed25519.path, rsa.path],
    foreignCertificates: [],
    sshdConfig: { path: `${etc}/sshd_config`, text: decodeConfig(Buffer.from('Port 22\n')) },
    dropInDirectory: `${etc}/sshd_config.d`,
    existing: new Map(),
    missingDirectories: [],
    ...difference,
  };
}

/** What the disk holds after a plan was carried out. */
function after(plan: { changes: readonly { path: string; content: Uint8Array | string | null; mode: number }[] }) {
  return new Map(
    plan.changes.flatMap(({ path, content, mode }) =>
      content === null ? [] : [[path, { content: Buffer.from(content), mode }]],
    ),
  );
}

describe('planInstall', () => {
  test('writes certificate, user CA and, last, the drop-in that names them; never a HostKey', () => {
    const plan = planInstall(facts());
    expect(plan.changes.map(({ path }) => path)).toEqual([
      `${etc}/ssh_host_ed25519_key-cert.pub`,
      `${etc}/countersign_user_ca.pub`,
      `${etc}/sshd_config.d/50-countersign.conf`,
    ]);
    expect(plan.directives).toEqual([
      `HostCertificate ${etc}/ssh_host_ed25519_key-cert.pub`,
      `TrustedUserCAKeys ${etc}/countersign_user_ca.pub`,
    ]);
    expect(String(plan.changes.at(-1)?.content)).not.toMatch(/^HostKey /m);
    expect(plan.record.files.map(({ original }) => original)).toEqual([null, null, null]);
  });

  test('changes nothing when all of it is there', () => {
    const certificates = [certified(ed25519)];
    const first = planInstall(facts({ certificates }));
    const again = planInstall(facts({ certificates, record: first.record, existing: after(first) }));
    expect(again).toEqual({ ...first, changes: [] });
  });

  test('keeps the certificates of other keys that sshd still has, and forgets those that it has not', () => {
    const first = planInstall(facts({ certificates: [certified(ed25519), certified(rsa)] }));
    const existing = after(first);
    const kept = planInstall(facts({ record: first.record, existing }));
    expect(kept.record.keys.map(({ path }) => path)).toEqual([ed25519.path, rsa.path]);
    const gone = planInstall(facts({ record: first.record, existing, hostKeys: [ed25519.path] }));
    expect(gone.record.keys.map(({ path }) => path)).toEqual([ed25519.path]);
    expect(gone.changes).toContainEqual({ path: `${rsa.path}-cert.pub`, content: null, mode: 0o644 });
    expect(gone.record.files.map(({ path }) => path)).not.toContain(`${rsa.path}-cert.pub`);
  });

  test('takes the user CA away again when users are no longer to be trusted', () => {
    const first = planInstall(facts());
    const plan = planInstall(facts({ record: first.record, existing: after(first), userCaKeys: [] }));
    expect(plan.changes).toContainEqual({ path: `${etc}/countersign_user_ca.pub`, content: null, mode: 0o644 });
    expect(plan.directives.join('\n')).not.toContain('TrustedUserCAKeys');
    expect(plan.record.userTrust).toBeNull();
  });

  test('remembers what was there before the first change, through all later ones', () => {
    const path = `${ed25519.path}-cert.pub`;
    const foreign = { content: Buffer.from('foreign\n'), mode: 0o640 };
    const first = planInstall(facts({ existing: new Map([[path, foreign]]), foreignCertificates: [path] }));
    expect(first.directives).not.toContain(`HostCertificate ${path}`);
    const second = planInstall(facts({ record: first.record, existing: after(first), foreignCertificates: [path] }));
    const original = { content: foreign.content.toString('base64'), mode: 0o640 };
    for (const { record } of [first, second]) {
      expect(record.files.find((file) => file.path === path)?.original).toEqual(original);
    }
  });

  test('puts a block into the configuration when no directory is included, and stays with it', () => {
    const first = planInstall(facts({ dropInDirectory: undefined }));
    expect(first.record.dropIn).toEqual({ kind: 'block', path: `${etc}/sshd_config` });
    expect(first.record.files.map(({ path }) => path)).not.toContain(`${etc}/sshd_config`);
    const text = decodeConfig(Buffer.from(first.changes.at(-1)?.content ?? ''));
    expect(text.endsWith('Port 22\n')).toBe(true);
    const second: { record: HostRecord } = planInstall(
      facts({ record: first.record, sshdConfig: { path: `${etc}/sshd_config`, text } }),
    );
    expect(second.record.dropIn.kind).toBe('block');
  });

  test('has a candidate for sshd to check that reads like the outcome', () => {
    const plan = planInstall(facts());
    const candidate = Buffer.from(candidateConfig(plan, facts().sshdConfig.text)).toString();
    for (const directive of plan.directives) expect(candidate).toContain(`${directive}\n`);
    expect(candidate.endsWith('Port 22\n')).toBe(true);
  });
});
