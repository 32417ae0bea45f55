/**
 * A fleet over virtual months against `countersign-ca serve`: days pass, devices make their passes at once, the network brings late what it held
 * back, the CA is killed in the middle and comes back, and now and then somebody copies a disk.
 */
import { decodeBase64 } from '#openssh/base64.ts';
import { makeHostKey } from '../../support/sshpop-client.ts';
import { Chance } from './chance.ts';
import { type Answer, ClockCa } from './clock-ca.ts';
import { Device, type Network } from './device.ts';
import { ServedCa, lostConnection } from './served-ca.ts';

export interface FleetOptions {
  readonly seed: number;
  readonly devices: number;
  /** Lifetimes of a certificate, of 30 days each. */
  readonly lifetimes: number;
  /** How many disks are copied. */
  readonly copies: number;
  /** In one of so many steps of ten days the CA is killed. */
  readonly killOneIn: number;
}

const DAY = 86_400n;
const DAYS_A_STEP = 10;
const LIFETIME_DAYS = 30;
/** When everything works again, each device comes back some more times. */
const MENDED_STEPS = 6;
/** Requests at once. */
const CROWD = 100;

export class Fleet implements AsyncDisposable {
  readonly ca: ServedCa;
  readonly devices: Device[] = [];
  /** One code for each request that arrived late. */
  readonly lateAnswers: string[] = [];
  kills = 0;
  requests = 0;
  readonly #options: FleetOptions;
  readonly #chance: Chance;
  readonly #stack: AsyncDisposableStack;
  #dead = false;
  #killAfter = Number.POSITIVE_INFINITY;
  #killing: Promise<void> | undefined;

  private constructor(ca: ServedCa, options: FleetOptions, stack: AsyncDisposableStack) {
    this.ca = ca;
    this.#options = options;
    this.#chance = new Chance(options.seed, 0);
    this.#stack = stack;
  }

  static async make(options: FleetOptions): Promise<Fleet> {
    await using stack = new AsyncDisposableStack();
    const settings = { renewal: { allow_after_expiry: true }, log: { level: 'error' } };
    const maker = stack.use(await ClockCa.make(settings));
    // So that the end is now, and certificates are then judged by programs that know no other time.
    maker.now -= spanOf(options);
    const devices = Array.from({ length: options.devices }, (_, n) => ({
      name: `d${n}.example.com`,
      key: makeHostKey(),
    }));
    const tokens: string[] = [];
    for (const { name } of devices) tokens.push(await maker.token(name));
    await maker.stop();
    const ca = stack.use(new ServedCa(maker.directory, maker.parent, maker.now));
    await ca.start();
    const fleet = new Fleet(ca, options, stack.move());
    for (const [n, device] of devices.entries()) await fleet.#enrol(n, device, tokens[n] ?? '');
    return fleet;
  }

  async run(): Promise<void> {
    const steps = (this.#options.lifetimes * LIFETIME_DAYS) / DAYS_A_STEP;
    for (let step = 0; step < steps; step++) {
      this.ca.advance(BigInt(DAYS_A_STEP) * DAY);
      if (step >= 2) this.#copySome(steps - step);
      await this.#step();
    }
    for (const device of this.devices) device.faults = false;
    for (let step = 0; step < MENDED_STEPS; step++) {
      this.ca.advance(BigInt(DAYS_A_STEP) * DAY);
      await this.#passes();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #enrol(n: number, { name, key }: Pick<Device, 'name' | 'key'>, ott: string): Promise<void> {
    const address = `10.2.${n >> 8}.${n & 255}`;
    const answer = await this.ca.post('/ssh/sign', { ott, publicKey: key.blob }, address);
    if (answer.status !== 201) throw new Error(`no certificate for ${name}: ${answer.code}`);
    const certificate = decodeBase64(String(answer.body['crt']));
    const chance = new Chance(this.#options.seed, n + 1);
    this.devices.push(new Device({ name, key, address, certificate, chance, network: this.#network() }));
  }

  #network(): Network {
    return {
      now: () => this.ca.now,
      post: async (path, body, from) => this.#reach(async () => this.ca.post(path, body, from)),
      get: async (path) => this.#reach(async () => this.ca.get(path)),
    };
  }

  /** While the CA is dead nobody gets an answer; what was on its way when it died is cut off where it was. */
  async #reach(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#dead) return lostConnection;
    this.requests += 1;
    this.#killAfter -= 1;
    const answer = ask();
    if (this.#killAfter === 0) {
      this.#dead = true;
      this.#killing = this.ca.kill();
    }
    return answer;
  }

  async #step(): Promise<void> {
    this.#killAfter = this.#chance.oneIn(this.#options.killOneIn)
      ? 1 + this.#chance.below(this.#options.devices / 4)
      : Number.POSITIVE_INFINITY;
    await this.#passes();
    await this.#revive();
    this.ca.advance(60n); // within the grace of a renewal
    await this.#deliverLate(2);
    await this.#passes();
    this.ca.advance(400n); // past it, while late tokens are still good
    await this.#deliverLate(1);
    await this.#passes();
  }

  async #passes(): Promise<void> {
    for (let start = 0; start < this.devices.length; start += CROWD) {
      const crowd = this.devices.slice(start, start + CROWD);
      await Promise.all(crowd.map(async (device) => (device.isAway ? undefined : device.pass())));
    }
  }

  /** One of `share` of what was held back arrives now. */
  async #deliverLate(share: number): Promise<void> {
    for (const device of this.devices) {
      const arriving = device.delayed.splice(0, Math.ceil(device.delayed.length / share));
      for (const deliver of arriving) this.lateAnswers.push(((await deliver()) as Answer).code);
    }
  }

  #copySome(stepsLeft: number): void {
    const copied = this.devices.filter(({ copied: isCopied }) => isCopied).length / 2;
    const wanted = this.#options.copies - copied;
    // The last ones early enough for both machines to come back a few times.
    if (wanted <= 0 || (stepsLeft > 8 && !this.#chance.oneIn(3))) return;
    const [device] = this.devices.filter(({ copied: isCopied }) => !isCopied).slice(this.#chance.below(20));
    if (device === undefined) return;
    const n = this.devices.length;
    this.devices.push(device.copy(`10.6.0.${copied & 255}`, new Chance(this.#options.seed, n + 1)));
  }

  async #revive(): Promise<void> {
    this.#killAfter = Number.POSITIVE_INFINITY;
    if (!this.#dead) return;
    this.kills += 1;
    await this.#killing;
    await this.ca.start();
    this.#dead = false;
  }
}

/** Seconds, a little more than all steps take. */
function spanOf({ lifetimes }: FleetOptions): bigint {
  const steps = BigInt((lifetimes * LIFETIME_DAYS) / DAYS_A_STEP);
  return (steps + BigInt(MENDED_STEPS)) * BigInt(DAYS_A_STEP) * DAY + steps * 460n + 60n;
}
