/**
 * Hosts with a real sshd on loopback, enrolled by the five steps with a CA whose clock is the test's (`clock-ca.ts`): what the CA decides after
 * months is tried in seconds, and judged by sshd and ssh. Start in the past and end in the present, since those know no other time.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import type { ChallengeReply } from '#protocol/host-challenge.ts';
import { servedCertificate } from '#test/support/across-reload.ts';
import { hostKeyPair, prove } from '#test/support/enrolment-client.ts';
import { type Lab, openLab } from '#test/support/lab.ts';
import { caProgram } from '#test/support/programs.ts';
import { type HostKey, sshpopToken, statusRequest } from '#test/support/sshpop-client.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';
import { type Answer, CA_NAME, ClockCa, type Settings } from '../simulator/devices/clock-ca.ts';

export const DAY = 86_400n;

/** A machine: its sshd, its key, and the certificate on its disk. */
export class RecordedHost implements AsyncDisposable {
  readonly name: string;
  readonly key: HostKey;
  readonly address: string;
  readonly sshd: TestSshd;
  certificate: Uint8Array;
  readonly #ca: ClockCa;

  constructor(parts: { name: string; key: HostKey; sshd: TestSshd; certificate: Uint8Array; ca: ClockCa }) {
    this.name = parts.name;
    this.key = parts.key;
    this.sshd = parts.sshd;
    this.address = parts.sshd.address;
    this.certificate = parts.certificate;
    this.#ca = parts.ca;
  }

  get serial(): bigint {
    return decodeCertificate(this.certificate).serial;
  }

  async lineage(): Promise<string> {
    return (await this.#ca.store.certificate(this.serial))?.lineage ?? '';
  }

  /** From its own address; what comes is on its disk. */
  async renew(): Promise<string> {
    const { key, certificate } = this;
    const ott = sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: this.#ca.now });
    const answer = await this.#ca.post('/ssh/renew', { ott }, this.address);
    if (answer.status === 201) this.certificate = decodeBase64(String(answer.body['crt']));
    this.lastMessage = String(answer.body['message']);
    return answer.code;
  }

  async report(): Promise<string> {
    const { key, certificate } = this;
    const body = statusRequest({ key, certificate, authority: CA_NAME, now: this.#ca.now });
    return (await this.#ca.post('/ssh/status', body, this.address)).code;
  }

  /** Of the last refusal. */
  lastMessage = '';

  /** Installs its certificate, and has ssh connect with nothing but an @cert-authority line. */
  async expectBelieved(): Promise<void> {
    const { sshd, certificate, name } = this;
    const [hostKey] = sshd.hostKeys;
    const path = `${hostKey?.path}-cert.pub`;
    await writeFile(path, `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(certificate)}\n`);
    await writeFile(join(sshd.dropInDirectory, 'certificate.conf'), `HostCertificate ${path}\n`);
    await sshd.reload();
    expect((await servedCertificate(sshd))?.certificate?.serial).toBe(this.serial);
    const knownHosts = join(sshd.directory, 'known_hosts');
    const line = `@cert-authority ${name} ${formatPublicKeyLine(decodeCertificate(certificate).signatureKey)}\n`;
    await writeFile(knownHosts, line);
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${knownHosts}`,
      'GlobalKnownHostsFile=none',
      `HostKeyAlias=${name}`,
      'HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com',
      'IdentityFile=none',
      'IdentityAgent=none',
    ].flatMap((option) => ['-o', option]);
    const login = ['-F', 'none', ...options, '-p', String(sshd.port), `nobody@${sshd.address}`, 'true'];
    const { stderr } = await execa('ssh', login, { reject: false, stdin: 'ignore', timeout: 60_000 });
    expect(stderr).toContain('Permission denied'); // as far as the login that nobody has
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sshd[Symbol.asyncDispose]();
  }
}

export class Town implements AsyncDisposable {
  readonly ca: ClockCa;
  readonly #lab: Lab;
  readonly #stack: AsyncDisposableStack;
  #hosts = 0;

  private constructor(ca: ClockCa, lab: Lab, stack: AsyncDisposableStack) {
    this.ca = ca;
    this.#lab = lab;
    this.#stack = stack;
  }

  static async open(): Promise<Town> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await openLab('loopback'));
    const ca = stack.use(await ClockCa.make());
    await ca.set(lab.caSettings);
    await ca.set({ enrolment: { names: ['**.lab.example'], addresses: [lab.network] } });
    await ca.restart();
    return new Town(ca, lab, stack.move());
  }

  /** From here on, `ago` before now. */
  setBack(ago: bigint): void {
    this.ca.now = BigInt(Math.floor(Date.now() / 1000)) - ago;
  }

  setToPresent(): void {
    this.setBack(0n);
  }

  /** Sections of ca.toml from here on. */
  async configure(settings: Settings): Promise<void> {
    await this.ca.set(settings);
    await this.ca.restart();
  }

  async enrol(): Promise<RecordedHost> {
    const label = `h${(this.#hosts += 1)}`;
    const name = `${label}.lab.example`;
    const { addresses } = await this.#lab.addMachine(label);
    const sshd = this.#stack.use(await startSshd({ addresses, port: this.#lab.sshPort }));
    this.#zone = { ...this.#zone, [name]: addresses };
    await this.#lab.setZone(this.#zone);
    const key = await keyOf(sshd);
    const certificate = await this.#fiveSteps(name, sshd, key);
    return new RecordedHost({ name, key, sshd, certificate, ca: this.ca });
  }

  #zone: Record<string, readonly string[]> = {};

  /** Another machine with what is on the disk of this one: key, certificate, and an sshd that runs with them. */
  async copy(host: RecordedHost): Promise<RecordedHost> {
    const { addresses } = await this.#lab.addMachine(`copy-of-${host.name}`);
    const sshd = this.#stack.use(await startSshd({ addresses, port: this.#lab.sshPort }));
    const [from, to] = [host.sshd.hostKeys[0], sshd.hostKeys[0]];
    if (from === undefined || to === undefined) throw new Error('no key');
    await writeFile(to.path, await readFile(from.path), { mode: 0o600 });
    await writeFile(`${to.path}.pub`, await readFile(`${from.path}.pub`));
    const { name, key, certificate } = host;
    return new RecordedHost({ name, key, sshd, certificate, ca: this.ca });
  }

  /** `countersign-ca COMMAND`, beside the server; its clock is the real one. */
  async command(...args: readonly string[]): Promise<string> {
    const [file, ...rest] = caProgram();
    const { stdout } = await execa(file, [...rest, ...args, '--dir', this.ca.directory], { stdin: 'ignore' });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #fiveSteps(name: string, sshd: TestSshd, key: HostKey): Promise<Uint8Array> {
    const pair = hostKeyPair(key.privateKey);
    const query = new URLSearchParams({
      name,
      ip: sshd.address,
      fingerprint: pair.fingerprint,
      port: String(sshd.port),
      keyType: 'ssh-ed25519',
    });
    const challenge = ok(await this.ca.get(`/host/challenge?${query.toString()}`)) as unknown as ChallengeReply;
    const { payload, signature } = challenge;
    const proven = { payload, signature, proof: prove(challenge, pair) };
    const { token } = ok(await this.ca.post('/host/token', proven, sshd.address));
    const { crt } = ok(await this.ca.post('/ssh/sign', { ott: token, publicKey: key.blob }, sshd.address));
    return decodeBase64(String(crt));
  }
}

function ok({ code, body }: Answer): Record<string, unknown> {
  expect(code, String(body['message'])).toBe('ok');
  return body;
}

async function keyOf({ hostKeys }: TestSshd): Promise<HostKey> {
  const [hostKey] = hostKeys;
  if (hostKey === undefined) throw new Error('no key');
  const { privateKey, publicKey } = parseSoftwareKey(await readFile(hostKey.path));
  return { privateKey, publicKey, blob: encodeBase64(hostKeyPair(privateKey).blob) };
}
