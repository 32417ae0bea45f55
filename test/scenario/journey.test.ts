/** The main job, end to end: hosts prove their keys, get certificates, and a user connects to them without a question. */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { formatCertificateLine, parseCertificateLine } from '#openssh/certificate-line.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CA_NAME } from '#test/support/ca.ts';
import { bodyOf } from '#test/support/enrolment-client.ts';
import { type SshUser, ssh } from '#test/support/lab-ssh.ts';
import { type LabKind, labKinds } from '#test/support/lab.ts';
import { type ProgramKind, agentProgram, programKinds } from '#test/support/programs.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, openStage } from './stage.ts';

/** Every kind of laboratory with the sources, the best one with every kind of program. */
const stages: readonly (readonly [LabKind, ProgramKind])[] = [
  ...labKinds.map((lab) => [lab, 'sources'] as const),
  ...programKinds.filter((kind) => kind !== 'sources').map((kind) => [labKinds[0] ?? 'loopback', kind] as const),
];

describe.each(stages)('on %s with %s', (lab, programs) => {
  let stage: Stage;
  let hosts: HonestHost[];
  let user: SshUser;

  beforeAll(async () => {
    stage = await openStage({ lab, programs });
    hosts = [
      await stage.addHost('web1'),
      await stage.addHost('db1', { addresses: 2, ipv6: true }),
      await stage.addHost('git1', { keys: ['ed25519', 'rsa'] }),
    ];
    await stage.setNames({ [CA_NAME]: [stage.ca.ca.address] });
    user = await makeUser(stage);
  });
  afterAll(async () => stage?.[Symbol.asyncDispose]());

  holds('three-hosts', async () => {
    await Promise.all(hosts.map(async (host) => enrolAndInstall(stage, host)));
    for (const host of hosts) await expectLogin(user, host);
    await expectOnRecord(stage, hosts);
  });

  holds('agent-enrols', async () => {
    const principals = `AuthorizedPrincipalsFile ${join(stage.lab.directory, 'principals')}`;
    const host = await stage.addHost('app1', { keys: ['ecdsa', 'ed25519'], config: [principals] });
    await writeFile(join(stage.lab.directory, 'principals'), 'alice\n');
    const state = ['--state-dir', join(host.machine.directory, 'state')];
    const trust = ['--ca', addressOfCa(stage), '--fingerprint', await stage.ca.ca.rootFingerprint()];
    const [address = ''] = host.machine.addresses;
    // On a machine of its own the agent finds everything by itself but the name, which would be that of the test's machine.
    const config = ['--sshd-config', join(host.machine.ssh.inside, 'sshd_config')];
    const where = lab === 'namespaces' ? config : [...config, '--ip', address];
    await run(host, [...agentProgram(programs), 'bootstrap', ...trust, ...state]);
    await run(host, [...agentProgram(programs), 'host', 'enroll', '--name', host.name, ...where, ...state]);
    await expectLogin(user, host);
  });

  holds('step-by-hand', async () => {
    const host = await stage.addHost('odd1', { keys: ['rsa', 'ed25519'] });
    const out = join(host.machine.directory, 'cert.pub');
    const trust = ['--ca', addressOfCa(stage), '--fingerprint', await stage.ca.ca.rootFingerprint()];
    const identity = ['--name', host.name, ...host.machine.addresses.flatMap((address) => ['--ip', address])];
    const key = ['--port', String(stage.lab.sshPort), '--key', join(host.machine.ssh.inside, 'ssh_host_rsa_key')];
    const script = join(import.meta.dirname, '../../docs/examples/enrol.sh');
    await run(host, ['sh', script, ...trust, ...identity, ...key, '--out', out]);
    const { certificate } = parseCertificateLine(await readFile(out, 'utf8'));
    await host.sshd.install(certificate, await stage.ca.ca.publicKeyLine('userCaPublicKey'), 'alice');
    await expectLogin(user, host);
  });

  holds('no-certificate-no-trust', async () => {
    const bare = await stage.addHost('bare');
    const [enrolled = bare] = hosts;
    await stage.setNames({ 'borrowed.lab.example': enrolled.machine.addresses });
    const borrowed = { name: 'borrowed.lab.example', machine: enrolled.machine };
    for (const host of [bare, borrowed]) {
      const { exitCode, stderr } = await ssh(user, host, 'true');
      expect(exitCode).toBe(255);
      expect(stderr).toMatch(/Host key verification failed/);
    }
  });
});

async function enrolAndInstall({ client, ca }: Stage, { claim, key, sshd, name }: HonestHost): Promise<void> {
  const result = await client.enrol(claim, key);
  if ('refused' in result) expect.unreachable(result.refused.text);
  expect(result.certificate).toMatchObject({ type: 'host', keyId: name, principals: [name] });
  await sshd.install(result.certificate, await ca.ca.publicKeyLine('userCaPublicKey'), 'alice');
}

/** Alice gets in without a question, and the host's own public key comes back: it is this host, and no other of the same CA. */
async function expectLogin(user: SshUser, host: HonestHost): Promise<void> {
  const file = join(host.machine.ssh.inside, `${host.sshd.keyNames[0]}.pub`);
  const { exitCode, stdout, stderr } = await ssh(user, host, `cat ${file}`);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(parsePublicKeyLine(stdout).blob).toEqual(host.key.blob);
}

/** Runs a command on a host; it has to succeed. */
async function run({ machine }: HonestHost, argv: readonly string[]): Promise<void> {
  const [file, ...args] = machine.command(argv);
  const { exitCode, stderr } = await execa(file, args, { reject: false, stdin: 'ignore', timeout: 60_000 });
  expect(exitCode, stderr).toBe(0);
}

/** By its name where hosts have a name server. */
function addressOfCa({ lab, ca }: Stage): string {
  return lab.kind === 'loopback' ? ca.url : `https://${CA_NAME}:${ca.port}`;
}

/** Alice: a key, a certificate for it by an administrator's token, and one line about the CA. */
async function makeUser(stage: Stage): Promise<SshUser> {
  const machine = await stage.lab.addMachine('laptop', { ipv6: true });
  const identity = join(machine.directory, 'id_ed25519');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identity]);
  const { blob } = parsePublicKeyLine(await readFile(`${identity}.pub`, 'utf8'));
  const token = await stage.ca.ca.token('--user', 'alice');
  const { crt } = bodyOf(await stage.client.sign(token, blob));
  await writeFile(`${identity}-cert.pub`, `${formatCertificateLine(decodeCertificate(decodeBase64(crt)))}\n`);
  const knownHosts = `@cert-authority *.lab.example ${await stage.ca.ca.publicKeyLine('hostCaPublicKey')}\n`;
  return { lab: stage.lab, machine, knownHosts, identity };
}

/** What an administrator sees afterwards. */
async function expectOnRecord({ ca: { ca } }: Stage, hosts: readonly HonestHost[]): Promise<void> {
  const names = hosts.map(({ name }) => name).toSorted();
  const listed = await ca.json<{ names: string[]; state: string }[]>('hosts');
  expect(listed.map((host) => String(host.names[0])).toSorted()).toEqual(names);
  const certificates = await ca.json<{ keyId: string; state: string }[]>('certs', '--type', 'host');
  expect(certificates.map(({ keyId, state }) => `${keyId} ${state}`).toSorted()).toEqual(
    names.map((name) => `${name} issued`),
  );
  expect(await ca.run('audit', '--verify')).toContain('The audit log is whole');
}
