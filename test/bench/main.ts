/**
 * `npm run bench [NAME ...]`: runs the benchmarks, all of them or those named, one after the other, and prints figures as ratios against
 * a peer or a physical limit measured in the same run. Never part of the tests: nothing here passes or fails.
 */
import { cpus } from 'node:os';
import { type BenchReport, printReport } from './report.ts';

const benches: Readonly<Record<string, () => Promise<{ readonly bench: () => Promise<BenchReport> }>>> = {
  agent: async () => import('./agent.ts'),
  certificates: async () => import('./certificates.ts'),
  enrolment: async () => import('./enrolment.ts'),
  executables: async () => import('./executables.ts'),
  host: async () => import('./host.ts'),
  krl: async () => import('./krl.ts'),
  renewal: async () => import('./renewal.ts'),
  'sign-in': async () => import('./sign-in.ts'),
  store: async () => import('./store.ts'),
  yubihsm: async () => import('./yubihsm.ts'),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  process.stderr.write(
    `bench: no benchmark named ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}\n`,
  );
  process.exit(2);
}
process.stdout.write(`${cpus().length} x ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}\n`);
for (const [name, load] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  process.stderr.write(`running ${name} ...\n`);
  const { bench } = await load();
  printReport(await bench());
}
