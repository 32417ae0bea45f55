/** The agent, and docs/examples/enrol.sh, against the real CA program: names in a DNS server, dial-back to real sshds on loopback. */
import { X509Certificate, hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execa } from 'execa';
import { readCertificateFile } from '#agent/host/certificate-file.ts';
import { firstKey, servedCertificate } from '#test/support/across-reload.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { type Lab, openLab } from '#test/support/lab.ts';
import { type HostKeyKind, type TestSshd, startSshd } from '#test/support/sshd.ts';
import { runAgent } from './host-agent-fixture.ts';

const script = join(import.meta.dirname, '../../docs/examples/enrol.sh');

const stack = new AsyncDisposableStack();
let lab: Lab;
let ca: RunningCa;
let fingerprint: string;
let places: string[];

beforeAll(async () => {
  lab = stack.use(await openLab('loopback'));
  const settings = [lab.caSettings];
  const initOptions = ['--allow-name', '**.lab.example', '--allow-address', lab.network];
  const made = await makeCa({ within: lab.directory, settings, initOptions, quick: true });
  ca = stack.use(await made.serve());
  fingerprint = hash('sha256', new X509Certificate(await made.rootPem()).raw, 'hex');
  places = ['--state-dir', join(lab.directory, 'state')];
  const result = await runAgent(['bootstrap', '--ca', ca.url, '--fingerprint', fingerprint, ...places]);
  expect(result.status, result.stderr).toBe(0);
});

afterAll(async () => stack.disposeAsync());

async function startMachine(
  name: string,
  keys: readonly HostKeyKind[] = ['ed25519'],
): Promise<{ sshd: TestSshd; name: string }> {
  const { addresses } = await lab.addMachine(name);
  const sshd = await startSshd({ addresses, port: lab.sshPort, keys });
  const full = `${name}.lab.example`;
  await lab.setZone({ [full]: addresses });
  return { sshd, name: full };
}

async function enrolByScript(sshd: TestSshd, name: string): Promise<void> {
  const { path } = firstKey(sshd);
  const trust = ['--ca', ca.url, '--fingerprint', fingerprint];
  const args = [script, ...trust, '--name', name, '--ip', sshd.address, '--port', String(sshd.port), '--key', path];
  const { exitCode, stderr } = await execa('sh', args, { reject: false });
  expect(exitCode, stderr).toBe(0);
}

async function served(sshd: TestSshd) {
  return (await servedCertificate(sshd))?.certificate;
}

test('a host enrols, and is enrolled once; until it is seen in use, its certificate is given again', async () => {
  const { sshd, name } = await startMachine('web1');
  await using _ = sshd;
  const { path } = firstKey(sshd);
  // The script reports nothing, and what it got is lost.
  await enrolByScript(sshd, name);
  const certificate = await readCertificateFile(`${path}-cert.pub`);
  expect(certificate?.principals).toContain(name);
  await rm(`${path}-cert.pub`);
  const enroll = ['host', 'enroll', '--name', name, '--ip', sshd.address, '--sshd-config', sshd.configPath];
  const first = await runAgent([...enroll, ...places]);
  expect(first.status, first.stderr).toBe(0);
  expect((await served(sshd))?.serial).toBe(certificate?.serial);
  // The enrolment reported it: from now on nobody is given it again.
  expect((await runAgent(['host', 'remove', '--sshd-config', sshd.configPath, ...places])).status).toBe(0);
  const second = await runAgent([...enroll, ...places]);
  expect(second).toMatchObject({
    status: 1,
    code: 'ca-refused',
    stderr: expect.stringContaining('already-enrolled') as string,
  });
  expect(await served(sshd)).toBeUndefined();
});

test('all keys of a host enrol, the first one vouching for the others', async () => {
  const { sshd, name } = await startMachine('web5', ['ed25519', 'ecdsa', 'rsa']);
  await using _ = sshd;
  const enroll = [
    'host',
    'enroll',
    '--all-keys',
    '--name',
    name,
    '--ip',
    sshd.address,
    '--sshd-config',
    sshd.configPath,
  ];
  const state = ['--state-dir', join(lab.directory, 'state-of-web5')];
  const trust = ['bootstrap', '--ca', ca.url, '--fingerprint', fingerprint, ...state];
  expect((await runAgent(trust)).status).toBe(0);
  const { status, stderr } = await runAgent([...enroll, ...state]);
  expect(status, stderr).toBe(0);
  for (const { kind, path } of sshd.hostKeys) {
    const names = (await readCertificateFile(`${path}-cert.pub`))?.principals ?? [];
    expect({ kind, certified: names.includes(name) }).toEqual({ kind, certified: kind !== 'rsa' });
  }
  expect(stderr).toContain('one key was left out: the CA refused'); // RSA of 2048 bits is too short for its policy
});

test('a host whose name is elsewhere is refused with the words of the CA', async () => {
  const { sshd, name } = await startMachine('web2');
  await using _ = sshd;
  await lab.setZone({ [name]: [lab.clientAddress] });
  const enroll = ['host', 'enroll', '--name', name, '--ip', sshd.address, '--sshd-config', sshd.configPath];
  const result = await runAgent([...enroll, ...places]);
  expect(result).toMatchObject({ status: 1, code: 'ca-refused' });
  expect(result.stderr).toContain('name-address-mismatch');
});

test('the script of four programs enrols a host too', async () => {
  const { sshd, name } = await startMachine('web3');
  await using _ = sshd;
  await enrolByScript(sshd, name);
  expect((await readCertificateFile(`${firstKey(sshd).path}-cert.pub`))?.principals).toContain(name);
});

test('doctor finds the CA, its clock and its keys in order', async () => {
  const { sshd } = await startMachine('web4');
  await using _ = sshd;
  const { stdout } = await runAgent(['doctor', '--json', '--sshd-config', sshd.configPath, ...places]);
  const findings = JSON.parse(stdout) as { check: string; level: string }[];
  const levels = new Map(findings.map(({ check, level }) => [check, level]));
  expect(['trust', 'ca', 'clock', 'ca-keys', 'sshd-config', 'sshd-answers'].map((check) => levels.get(check))).toEqual(
    Array.from({ length: 6 }, () => 'ok'),
  );
});
