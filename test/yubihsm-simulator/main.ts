/**
 * Starts the simulator alone:
 *
 *   npm run yubihsm-simulator -- --port 12345 --state simulator.json [--realtime] [--firmware 2.4.0] [--serial N]
 *                                [--reading examples|text]
 *
 * It is for development and tests only: the state file holds private keys in the clear.
 */
import { parseArgs } from 'node:util';
import { startSimulator } from './simulator.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '12345' },
    state: { type: 'string' },
    realtime: { type: 'boolean', default: false },
    firmware: { type: 'string', default: '2.4.0' },
    serial: { type: 'string' },
    reading: { type: 'string', default: 'examples' },
  },
});
const [major = 2, minor = 4, build = 0] = values.firmware.split('.').map(Number);
const simulator = await startSimulator({
  port: Number(values.port),
  realtime: values.realtime,
  firmware: [major, minor, build],
  reading: values.reading === 'text' ? 'text' : 'examples',
  ...(values.state !== undefined && { stateFile: values.state }),
  ...(values.serial !== undefined && { serial: Number(values.serial) }),
});
process.stdout.write(`YubiHSM simulator (for development and tests only) at ${simulator.url}\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void simulator[Symbol.asyncDispose]());
}
