/**
 * A device as the CA meets it: a host key, a disk that keeps one certificate, a clock that lies, and a network that loses, doubles and
 * delays. It does what the agent must do (protocol/renewal.ts): read the certificate from the disk for each attempt, write a new one before
 * using or reporting it. It can lose power between any two steps; what is not on the disk is then gone.
 */
import { randomUUID } from 'node:crypto';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { type HostKey, sshpopToken, statusRequest } from '../../support/sshpop-client.ts';
import type { Chance } from './chance.ts';
import { type Answer, CA_NAME } from './clock-ca.ts';

/** What the device sends goes through here. */
export interface Network {
  /** Epoch seconds, the true time: a device never looks at it but through its own clock. */
  readonly now: () => bigint;
  readonly post: (path: string, body: object, from: string) => Promise<Answer>;
  readonly get: (path: string) => Promise<Answer>;
}

export interface Disk {
  certificate: Uint8Array;
  /** Whether the certificate was reported; written after the answer came. */
  reported: boolean;
}

/** The power went. Thrown between two steps. */
class PowerCut extends Error {}
/** No answer came. */
class NoAnswer extends Error {}

const clockErrors = [0n, 0n, 0n, 40n, -40n, 600n, -600n, -1_700_000_000n, 450_000_000n] as const;
/** As long as tokens may live: what is delayed is then still good when it arrives. */
const TOKEN_SECONDS = 600;

export class Device {
  readonly name: string;
  readonly key: HostKey;
  readonly address: string;
  readonly disk: Disk;
  /** A copy of it was made, or it is one: then it must be found. */
  copied = false;
  /** Codes of refusals of what it sent in order, each with how often. */
  readonly refusals = new Map<string, number>();
  /** Requests that will arrive late. */
  readonly delayed: (() => Promise<unknown>)[] = [];
  faults = true;
  renewals = 0;
  readonly #chance: Chance;
  readonly #network: Network;
  #clockError = 0n;

  constructor(parts: {
    readonly name: string;
    readonly key: HostKey;
    readonly address: string;
    readonly certificate: Uint8Array;
    readonly chance: Chance;
    readonly network: Network;
  }) {
    this.name = parts.name;
    this.key = parts.key;
    this.address = parts.address;
    this.disk = { certificate: parts.certificate, reported: false };
    this.#chance = parts.chance;
    this.#network = parts.network;
  }

  /** A machine with what is on this one's disk. */
  copy(address: string, chance: Chance): Device {
    const { name, key, disk } = this;
    const copy = new Device({ name, key, address, certificate: disk.certificate, chance, network: this.#network });
    copy.disk.reported = disk.reported;
    this.copied = true;
    copy.copied = true;
    return copy;
  }

  /** One pass of the agent: report what is not reported, renew what is due. */
  async pass(): Promise<void> {
    if (this.faults && this.#chance.oneIn(10)) this.#clockError = this.#chance.pick(clockErrors);
    try {
      if (!this.disk.reported) await this.#report();
      if (this.#isDue()) await this.#renew();
    } catch (error) {
      if (!(error instanceof PowerCut) && !(error instanceof NoAnswer)) throw error;
    }
  }

  /** Away for this pass: switched off, or without a network. */
  get isAway(): boolean {
    return this.faults && this.#chance.oneIn(4);
  }

  #isDue(): boolean {
    const { validAfter, validBefore } = decodeCertificate(this.disk.certificate);
    const now = this.#network.now() + (this.#clockError > 1000n || this.#clockError < -1000n ? 0n : this.#clockError);
    return now >= validAfter + ((validBefore - validAfter) * 2n) / 3n;
  }

  async #renew(): Promise<void> {
    const answer = await this.#askInTime('/ssh/renew', () => ({ ott: this.#token() }));
    if (answer.code !== 'ok') return this.#refused(answer.code);
    const certificate = decodeBase64(String(answer.body['crt']));
    this.#powerMayFail();
    // Written, and only now used: the old one is gone from here on.
    this.disk.certificate = certificate;
    this.disk.reported = false;
    this.renewals += 1;
    this.#powerMayFail();
    await this.#report();
  }

  async #report(): Promise<void> {
    const parts = () => ({ key: this.key, certificate: this.disk.certificate, authority: CA_NAME, now: this.#clock() });
    const answer = await this.#askInTime('/ssh/status', () => statusRequest({ ...parts(), claims: this.#life() }));
    if (answer.code !== 'ok') return this.#refused(answer.code);
    this.#powerMayFail();
    this.disk.reported = true;
  }

  #token(): string {
    const { key, disk } = this;
    const now = this.#clock();
    const claims = this.#life();
    return sshpopToken({ key, certificate: disk.certificate, operation: 'renew', authority: CA_NAME, now, claims });
  }

  #life() {
    return { exp: Number(this.#clock()) + TOKEN_SECONDS, jti: randomUUID() };
  }

  #clock(): bigint {
    const time = this.#network.now() + this.#clockError;
    return time < 1n ? 1n : time;
  }

  /** A refused clock is held against the CA's signed time, and the request made again by that. */
  async #askInTime(path: string, body: () => object): Promise<Answer> {
    const answer = await this.#send(path, body);
    if (answer.code !== 'token-expired' && answer.code !== 'token-not-yet-valid') return answer;
    const { body: told, code } = await this.#network.get(`/time?nonce=${Buffer.alloc(32, 1).toString('base64url')}`);
    if (code !== 'ok') throw new NoAnswer();
    const statement = JSON.parse(Buffer.from(decodeBase64(String(told['payload']))).toString()) as { time: number };
    this.#clockError = BigInt(statement.time) - this.#network.now();
    return this.#send(path, body);
  }

  async #send(path: string, body: () => object): Promise<Answer> {
    this.#powerMayFail();
    const request = body();
    const deliver = async (): Promise<Answer> => this.#network.post(path, request, this.address);
    if (!this.faults) return deliver();
    const chance = this.#chance;
    if (chance.oneIn(20)) throw new NoAnswer(); // the request is lost
    if (chance.oneIn(20)) {
      this.delayed.push(deliver); // it will arrive when nobody waits for it any more
      throw new NoAnswer();
    }
    if (chance.oneIn(15)) {
      await deliver();
      throw new NoAnswer(); // the answer is lost
    }
    if (chance.oneIn(10)) {
      const another = body();
      const [answer] = await Promise.all([deliver(), this.#network.post(path, another, this.address), deliver()]);
      return answer;
    }
    return deliver();
  }

  #refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  #powerMayFail(): void {
    if (this.faults && this.#chance.oneIn(15)) throw new PowerCut();
  }
}
