/** `countersign-ca serve` */
import pino from 'pino';
import type { Config } from '../config/config.ts';
import { parseListenAddress } from '../config/listen-address.ts';
import { CommandError } from '../command-error.ts';
import { caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';
import { type Listening, serve as serveCa } from '../serve/serve.ts';
import { openServiceManager } from '../serve/service-notice.ts';
import { printJson } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

export interface ServeCommandOptions extends PassphraseOptions {
  readonly dir: string;
  readonly address?: string;
  readonly json?: boolean;
}

export async function serve(options: ServeCommandOptions): Promise<void> {
  const manager = openServiceManager();
  const layout = caLayout(options.dir);
  const heedReloads = catchHangups();
  const listen = options.address === undefined ? undefined : parseListenAddress(options.address);
  if (options.address !== undefined && listen === undefined)
    throw new CommandError('--address must be HOST:PORT, [IPV6]:PORT or :PORT.');
  const read = async (): Promise<Config> => {
    const config = await openConfig(layout);
    return listen === undefined ? config : { ...config, listen };
  };
  const config = await read();
  const log = pino(
    { level: config.log.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: false }),
  );
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
  const passphrase = await readPassphrase(options);
  await serveCa({
    layout,
    config,
    readAgain: read,
    heedReloads,
    passphrase,
    log,
    stop: stopping.signal,
    manager,
    ready: (listening) => announce(listening, options),
  });
  log.flush();
}

/** From the start on, since SIGHUP would end the process. */
function catchHangups(): (reload: () => void) => void {
  let missed = false;
  let tell = (): void => void (missed = true);
  process.on('SIGHUP', () => tell());
  return (reload) => {
    tell = reload;
    if (missed) reload();
    missed = false;
  };
}

function announce(listening: Listening, { json, dir }: ServeCommandOptions): void {
  if (json === true) return printJson({ ...listening, pid: process.pid });
  process.stdout.write(`Serving ${dir} at ${listening.url}\nRoot fingerprint ${listening.rootFingerprint}\n`);
}
