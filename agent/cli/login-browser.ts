/** How `countersign login` brings the person to the identity provider: which way, and with which browser. */
import type { ControlSignInRequest } from '#protocol/control.ts';
import { browserCommands, openBrowser } from '../user/login/browser.ts';
import type { LoginOptions } from './login.ts';

type Choice = Pick<LoginOptions, 'device' | 'browser'>;

/** With a code where the person asks for it, or where no browser could be shown and the CA takes it. */
export function chooseFlow({ device, browser }: Choice): ControlSignInRequest['flow'] {
  if (device === true) return 'device';
  if (browser === false) return 'browser';
  const commands = browserCommands(process.platform, process.env, nameOf(browser));
  return commands.length === 0 ? 'device-if-offered' : 'browser';
}

/** The address is shown in any case: a browser may start and show nothing. */
export async function showUrl(url: URL, { browser }: Choice): Promise<void> {
  process.stderr.write(`Sign in at:\n  ${url.href}\n`);
  if (browser === false) return;
  const fault = await openBrowser(browserCommands(process.platform, process.env, nameOf(browser)), url);
  if (fault !== undefined) process.stderr.write(`${fault}: open the address yourself.\n`);
}

function nameOf(browser: string | boolean | undefined): string | undefined {
  return typeof browser === 'string' ? browser : undefined;
}
