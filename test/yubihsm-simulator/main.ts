/**
 * Starts the simulator alone. It is for development and tests only: the state file holds private keys in the clear.
 */
import { parseArgs } from 'node:util';
import { startSimulator } from './simulator.ts';

const usage = `A YubiHSM 2 and its connector in software, for development and tests only: the state file holds private keys in the clear.

usage: npm run yubihsm-simulator -- [--port 12345] [--state FILE] [--realtime] [--firmware 2.4.0] [--serial N]
                                    [--reading examples|text]

  --port      where the connector listens, on 127.0.0.1
  --state     keeps objects, options and log in this file
  --realtime  takes as long as the vendor says that a device takes
  --firmware  what it behaves like
  --serial    of the device; ignored when the state file has one
  --reading   how it takes a template's offsets: as the vendor's examples, or as the vendor's text
`;

const options = {
  help: { type: 'boolean', short: 'h', default: false },
  port: { type: 'string', default: '12345' },
  state: { type: 'string' },
  realtime: { type: 'boolean', default: false },
  firmware: { type: 'string', default: '2.4.0' },
  serial: { type: 'string' },
  reading: { type: 'string', default: 'examples' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

function read(): Values | undefined {
  try {
    const { values } = parseArgs({ options });
    const [port, serial] = [Number(values.port), Number(values.serial ?? 0)];
    const right =
      Number.isInteger(port) &&
      port >= 0 &&
      port <= 0xffff &&
      Number.isInteger(serial) &&
      serial >= 0 &&
      serial <= 0xffff_ffff &&
      /^\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(values.firmware) &&
      ['examples', 'text'].includes(values.reading);
    return right ? values : undefined;
  } catch {
    return undefined;
  }
}

async function start(values: Values): Promise<void> {
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
}

const values = read();
if (values === undefined) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else if (values.help) process.stdout.write(usage);
else await start(values);
