/**
 * Opens the system's browser: the command that the person named, those of `$BROWSER` (xdg-open(1)), or the program of the desktop. No shell is
 * involved: a command is words between white space, and the address stands for `%s` in them, or comes last. Nothing but https leaves here: a
 * provider must not choose which program of the desktop opens what.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemErrorReason } from '../../failure.ts';

const START_TIMEOUT_MS = 5000;

/** A program and its arguments; `%s` in an argument stands for the address, `%%` for a percent sign. */
export type BrowserCommand = readonly [program: string, ...args: string[]];

/** Command lines, to be tried one after the other; none where no desktop could show a browser. */
export function browserCommands(
  platform: NodeJS.Platform,
  environment: NodeJS.ProcessEnv,
  named: string | undefined,
): readonly BrowserCommand[] {
  if (named !== undefined) return [named].flatMap(commandOf);
  if (platform === 'darwin') return [['open']];
  if (platform === 'win32') return [['rundll32', 'url.dll,FileProtocolHandler']];
  const chosen = (environment['BROWSER'] ?? '').split(':').flatMap(commandOf);
  const hasDisplay = [environment['DISPLAY'], environment['WAYLAND_DISPLAY']].some((each) => (each ?? '') !== '');
  return hasDisplay ? [...chosen, ['xdg-open']] : chosen;
}

/** None for a text without a program: which one that is does not depend on the address. */
function commandOf(text: string): BrowserCommand[] {
  const [program, ...args] = text.split(/\s+/).filter((word) => word !== '');
  return program === undefined || program.includes('%s') ? [] : [[program, ...args]];
}

/** The words of a command line for this address. */
export function commandLineFor([program, ...args]: BrowserCommand, url: URL): BrowserCommand {
  const isNamed = args.some((word) => /%s/.test(word.replaceAll('%%', '')));
  const filled = args.map((word) => word.replaceAll(/%[s%]/g, (mark) => (mark === '%%' ? '%' : url.href)));
  return isNamed ? [program, ...filled] : [program, ...filled, url.href];
}

/** Starts the first that can be started. @returns why the last did not; undefined when one did @throws TypeError for an address that is not https */
export async function openBrowser(commands: readonly BrowserCommand[], url: URL): Promise<string | undefined> {
  if (url.protocol !== 'https:') throw new TypeError('a browser is opened for https alone');
  let fault: string | undefined;
  for (const command of commands) {
    const why = await start(commandLineFor(command, url));
    if (why === undefined) return undefined;
    fault = `${command[0]} did not start (${why})`;
  }
  return fault;
}

async function start([program, ...args]: BrowserCommand): Promise<string | undefined> {
  const child = spawn(program, args, { stdio: 'ignore', detached: true, shell: false });
  child.on('error', () => undefined);
  try {
    await once(child, 'spawn', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
    child.unref();
    return undefined;
  } catch (error) {
    return systemErrorReason(error);
  }
}
