/**
 * Opens the system's browser: the program of the desktop, or the one that the person named, with the address as its only argument. No shell
 * is involved, and nothing but https leaves here: a provider must not choose which program of the desktop opens what.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemErrorReason } from '../../failure.ts';

const START_TIMEOUT_MS = 5000;

/** The command line; undefined where no desktop could show a browser. */
export function browserCommand(
  platform: NodeJS.Platform,
  environment: NodeJS.ProcessEnv,
  named: string | undefined,
): readonly [program: string, ...args: string[]] | undefined {
  if (named !== undefined) return [named];
  if (platform === 'darwin') return ['open'];
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  const hasDisplay = [environment['DISPLAY'], environment['WAYLAND_DISPLAY']].some((each) => (each ?? '') !== '');
  return hasDisplay ? ['xdg-open'] : undefined;
}

/** @returns why it did not start; undefined when it did @throws TypeError for an address that is not https */
export async function openBrowser(
  [program, ...args]: readonly [program: string, ...args: string[]],
  url: URL,
): Promise<string | undefined> {
  if (url.protocol !== 'https:') throw new TypeError('a browser is opened for https alone');
  const child = spawn(program, [...args, url.href], { stdio: 'ignore', detached: true, shell: false });
  child.on('error', () => undefined);
  try {
    await once(child, 'spawn', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
    child.unref();
    return undefined;
  } catch (error) {
    return systemErrorReason(error);
  }
}
