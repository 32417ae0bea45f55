/**
 * A fleet over virtual months: days pass, devices make their passes at once, the network brings late what it held back, the CA is killed
 * between the steps of an issuance and comes back, and now and then somebody copies a disk.
 */
import type { Store } from '#ca-lite/store/store.ts';
import { makeHostKey } from '../../support/sshpop-client.ts';
import { Chance } from './chance.ts';
import { type Answer, ClockCa } from './clock-ca.ts';
import { Device, type Network } from './device.ts';

export interface FleetOptions {
  readonly seed: number;
  readonly devices: number;
  /** Virtual days. */
  readonly days: number;
  /** How many disks are copied. */
  readonly copies: number;
}

const DAY = 86_400n;
const DAYS_A_STEP = 10;
/** Requests at once. */
const CROWD = 100;

const lostConnection: Answer = { status: 0, code: 'unreachable', body: {}, headers: {}, raw: Buffer.alloc(0) };

export class Fleet implements AsyncDisposable {
  readonly ca: ClockCa;
  readonly devices: Device[] = [];
  /** One code for each request that arrived late. */
  readonly lateAnswers: string[] = [];
  kills = 0;
  readonly #options: FleetOptions;
  readonly #chance: Chance;
  #dies = false;

  private constructor(ca: ClockCa, options: FleetOptions) {
    this.ca = ca;
    this.#options = options;
    this.#chance = new Chance(options.seed, 0);
  }

  static async make(options: FleetOptions): Promise<Fleet> {
    const ca = await ClockCa.make({ renewal: { allow_after_expiry: true } });
    const fleet = new Fleet(ca, options);
    ca.wrapStore = (store) => fleet.#mortal(store);
    await ca.restart();
    await fleet.#enrol();
    return fleet;
  }

  async run(): Promise<void> {
    const steps = Math.ceil(this.#options.days / DAYS_A_STEP);
    for (let step = 0; step < steps; step++) {
      this.ca.now += BigInt(DAYS_A_STEP) * DAY;
      if (step >= 2) this.#copySome(steps - step);
      await this.#step();
    }
    // Everything is mended, and each device comes back once more.
    for (const device of this.devices) device.faults = false;
    for (let step = 0; step < 6; step++) {
      this.ca.now += BigInt(DAYS_A_STEP) * DAY;
      await this.#passes();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ca[Symbol.asyncDispose]();
  }

  async #enrol(): Promise<void> {
    const network = this.#network();
    for (let n = 0; n < this.#options.devices; n++) {
      const name = `d${n}.example.com`;
      const key = makeHostKey();
      const certificate = await this.ca.certify(key, name);
      const address = `10.2.${n >> 8}.${n & 255}`;
      const chance = new Chance(this.#options.seed, n + 1);
      this.devices.push(new Device({ name, key, address, certificate, chance, network }));
    }
  }

  #network(): Network {
    return {
      now: () => this.ca.now,
      post: async (path, body, from) => this.#reach(async () => this.ca.post(path, body, from)),
      get: async (path) => this.#reach(async () => this.ca.get(path)),
    };
  }

  /** While the CA is dead nobody gets an answer, and what it was working on is never answered. */
  async #reach(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#dies) return lostConnection;
    const answer = await ask();
    return this.#dies ? lostConnection : answer;
  }

  async #step(): Promise<void> {
    this.#killAfter = this.#chance.oneIn(2)
      ? 1 + this.#chance.below(this.#options.devices / 4)
      : Number.POSITIVE_INFINITY;
    await this.#passes();
    await this.#revive();
    this.ca.now += 60n; // within the grace of a renewal
    await this.#deliverLate(2);
    await this.#passes();
    this.ca.now += 400n; // past it, while late tokens are still good
    await this.#deliverLate(1);
    await this.#passes();
    if (this.#chance.oneIn(4)) await this.ca.restart();
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

  #killAfter = Number.POSITIVE_INFINITY;

  /** A store that stops answering in the middle of an issuance, as if the process had been killed there: before or after the result. */
  #mortal(store: Store): Store {
    const recordResult = store.recordResult.bind(store);
    return new Proxy(store, {
      get: (target, property) => {
        if (property === 'recordResult') {
          return async (result: Parameters<Store['recordResult']>[0]) => {
            this.#killAfter -= 1;
            if (this.#killAfter > 0) return recordResult(result);
            this.#dies = true;
            if (this.#chance.oneIn(2)) return recordResult(result);
            throw new Error('killed');
          };
        }
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => (this.#dies ? Promise.reject(new Error('killed')) : method(...args));
      },
    });
  }

  async #revive(): Promise<void> {
    this.#killAfter = Number.POSITIVE_INFINITY;
    if (!this.#dies) return;
    this.kills += 1;
    await this.ca.restart();
    this.#dies = false;
  }
}
