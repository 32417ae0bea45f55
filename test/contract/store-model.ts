/**
 * Random histories of small things (few tokens, serials, names, keys), so that everything collides with everything, held
 * against a model that fits on a page. A failure prints the seed and the shortest history that fails.
 */
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  oneof,
  option,
  record,
} from 'fast-check';
import { expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { HostBinding } from '#ca-lite/store/decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import type { MakeHome } from './store.ts';
import { binding, enrolment, hostToken, intent, note, now, result, token } from './store-requests.ts';

type Step =
  | { readonly do: 'recordToken'; readonly token: string }
  | { readonly do: 'consumeToken'; readonly token: string; readonly recorded: boolean }
  | { readonly do: 'recordHostToken'; readonly nonce: string; readonly token: string; readonly host: HostBinding }
  | {
      readonly do: 'recordIntent';
      readonly serial: bigint;
      readonly token: string | null;
      readonly host: HostBinding | null;
    }
  | { readonly do: 'recordResult' | 'abandonIntent'; readonly serial: bigint }
  | { readonly do: 'clearHost'; readonly name: string };

const tokens = constantFrom('t1', 't2', 't3');
const serials = constantFrom(1n, 2n, 3n, 4n, 5n);
const names = constantFrom('web1', 'web2');
const hosts = record({
  name: names,
  key: constantFrom('k1', 'k2', 'k3'),
  address: constantFrom('10.0.0.1', '10.0.0.2'),
}).map(({ name, key, address }) => binding(name, key, address));
const steps: Arbitrary<Step> = oneof(
  record({ do: constant('recordToken'), token: tokens }),
  record({ do: constant('consumeToken'), token: tokens, recorded: boolean() }),
  record({ do: constant('recordHostToken'), nonce: constantFrom('n1', 'n2'), token: tokens, host: hosts }),
  record({ do: constant('recordIntent'), serial: serials, token: option(tokens), host: option(hosts) }),
  record({ do: constantFrom('recordResult', 'abandonIntent'), serial: serials }),
  record({ do: constant('clearHost'), name: names }),
);

/** What a store should have decided; each step answers with the refusal, or null. */
class Model {
  readonly #tokens = new Map<string, 'outstanding' | 'used'>();
  readonly #nonces = new Set<string>();
  readonly #certificates = new Map<bigint, { state: string; host: HostBinding | null }>();
  #bound: HostBinding[] = [];

  decide(step: Step): string | null {
    switch (step.do) {
      case 'recordToken':
        return this.#recordToken(step.token);
      case 'consumeToken':
        return this.#tokenRefusal(step.token, step.recorded) ?? this.#use(step.token);
      case 'recordHostToken':
        return this.#recordHostToken(step);
      case 'recordIntent':
        return this.#recordIntent(step);
      case 'recordResult':
        return this.#close(step.serial, 'issued');
      case 'abandonIntent':
        return this.#close(step.serial, 'abandoned');
      case 'clearHost':
        return this.#clear(step.name);
    }
  }

  count(state: string): bigint {
    return BigInt([...this.#certificates.values()].filter((certificate) => certificate.state === state).length);
  }

  get bound(): bigint {
    return BigInt(this.#bound.length);
  }

  #recordToken(id: string): string | null {
    if (this.#tokens.has(id)) return 'token-exists';
    this.#tokens.set(id, 'outstanding');
    return null;
  }

  #tokenRefusal(id: string, recorded: boolean): string | null {
    const state = this.#tokens.get(id);
    if (state === 'used') return 'token-used';
    return state === undefined && recorded ? 'token-unknown' : null;
  }

  #use(id: string): null {
    this.#tokens.set(id, 'used');
    return null;
  }

  #hostRefusal({ keyFingerprint, names, addresses }: HostBinding): string | null {
    const ofKey = this.#bound.filter((host) => host.keyFingerprint === keyFingerprint);
    if (ofKey.some((host) => host.addresses[0] === addresses[0])) return 'host-already-enrolled';
    const ofName = this.#bound.filter((host) => host.names[0] === names[0]);
    const held = ofName.length > 0 && !ofName.some((host) => host.keyFingerprint === keyFingerprint);
    return held ? 'name-held-by-another-key' : null;
  }

  #recordHostToken({ nonce, token, host }: Extract<Step, { do: 'recordHostToken' }>): string | null {
    if (this.#nonces.has(nonce)) return 'nonce-used';
    const refusal = this.#hostRefusal(host) ?? this.#recordToken(token);
    if (refusal === null) this.#nonces.add(nonce);
    return refusal;
  }

  #recordIntent({ serial, token, host }: Extract<Step, { do: 'recordIntent' }>): string | null {
    const refusal =
      (token === null ? null : this.#tokenRefusal(token, false)) ?? (host === null ? null : this.#hostRefusal(host));
    if (refusal !== null) return refusal;
    if (this.#certificates.has(serial)) return 'serial-exists';
    if (token !== null) this.#use(token);
    if (host !== null) this.#bound.push(host);
    this.#certificates.set(serial, { state: 'intended', host });
    return null;
  }

  #close(serial: bigint, to: 'issued' | 'abandoned'): string | null {
    const certificate = this.#certificates.get(serial);
    if (certificate === undefined) return 'intent-unknown';
    if (certificate.state === 'issued' && to === 'issued') return null;
    if (certificate.state !== 'intended') return 'intent-closed';
    certificate.state = to;
    if (to === 'abandoned') this.#bound = this.#bound.filter((host) => host !== certificate.host);
    return null;
  }

  #clear(name: string): string | null {
    const before = this.#bound.length;
    this.#bound = this.#bound.filter((host) => host.names[0] !== name);
    return this.#bound.length === before ? 'host-unknown' : null;
  }
}

function perform(store: Store, step: Step) {
  const audit = note('step');
  const tokenOf = (id: string, recorded: boolean) => token(id, recorded);
  switch (step.do) {
    case 'recordToken':
      return store.recordToken({ token: tokenOf(step.token, true), audit });
    case 'consumeToken':
      return store.consumeToken({ token: tokenOf(step.token, step.recorded), audit });
    case 'recordHostToken': {
      const [nonce, made] = [tokenOf(step.nonce, false), tokenOf(step.token, true)];
      return store.recordHostToken({ ...hostToken('x', step.host), nonce, token: made });
    }
    case 'recordIntent': {
      const spent = step.token === null ? null : tokenOf(step.token, false);
      const { serial, host } = step;
      return store.recordIntent(
        host === null ? intent(serial, { token: spent }) : enrolment(serial, host, { token: spent }),
      );
    }
    case 'recordResult':
      return store.recordResult(result(step.serial));
    case 'abandonIntent':
      return store.abandonIntent({ serial: step.serial, now, audit });
    case 'clearHost':
      return store.clearHost({ name: step.name, now, audit });
  }
}

export function modelContract(makeHome: MakeHome): void {
  test('decides as the model does, whatever the history', async () => {
    await assert(
      asyncProperty(array(steps, { minLength: 10, maxLength: 60 }), async (history) => {
        await using home = await makeHome();
        await using store = await home.open();
        const model = new Model();
        const expected = history.map((step) => model.decide(step));
        // All at once: one writer takes them in the order in which they were asked, across transactions or within one.
        const outcomes = await Promise.all(history.map((step) => perform(store, step)));
        expect(outcomes.map((outcome) => (outcome.accepted ? null : outcome.refusal))).toEqual(expected);
        const { certificates, hosts, auditEntries } = await store.counts();
        for (const state of ['intended', 'issued', 'abandoned'] as const) {
          expect(certificates.host[state]).toBe(model.count(state));
        }
        expect(hosts.pending + hosts.enrolled).toBe(model.bound);
        expect(auditEntries).toBe(BigInt(history.length));
        expect((await verifyStoredAudit(store)).ok).toBe(true);
      }),
      { numRuns: 25 },
    );
  });
}
