/** Counters for Prometheus (GET /metrics). Labels come from closed lists, so their number is bounded. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Store } from '../store/store.ts';

export interface Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'route' | 'status'>;
  readonly seconds: Histogram<'route'>;
  readonly refusals: Counter<'code'>;
}

export function createMetrics(store: Pick<Store, 'counts' | 'load'>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  registerStoreGauges(store, registers);
  return {
    registry,
    requests: new Counter({
      name: 'countersign_requests_total',
      help: 'HTTP requests by route and status',
      labelNames: ['route', 'status'],
      registers,
    }),
    seconds: new Histogram({
      name: 'countersign_request_seconds',
      help: 'Time to answer, by route',
      labelNames: ['route'],
      registers,
    }),
    refusals: new Counter({
      name: 'countersign_refusals_total',
      help: 'Refusals and failures by code',
      labelNames: ['code'],
      registers,
    }),
  };
}

function registerStoreGauges(store: Pick<Store, 'counts' | 'load'>, registers: Registry[]): void {
  void new Gauge({
    name: 'countersign_certificates',
    help: 'Certificates on record by type and state',
    labelNames: ['type', 'state'],
    registers,
    async collect() {
      const { certificates } = await store.counts();
      for (const [type, states] of Object.entries(certificates)) {
        for (const [state, count] of Object.entries(states)) this.set({ type, state }, Number(count));
      }
    },
  });
  void new Gauge({
    name: 'countersign_store_pending',
    help: 'Writes waiting for the store',
    registers,
    collect() {
      this.set(store.load.pending);
    },
  });
}
