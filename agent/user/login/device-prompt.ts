/** What is shown for a sign-in on another device (RFC 8628 section 3.3). Pure. */
import { renderUnicodeCompact } from 'uqr';

export interface DevicePrompt {
  /** Where to go. */
  readonly url: URL;
  /** What to type there. */
  readonly code: string;
  /** Where the code is filled in already. */
  readonly completeUrl?: URL;
}

/** For a terminal: dark modules on light, whatever its colours. */
export function formatDevicePrompt(
  { url, code, completeUrl }: DevicePrompt,
  options: { readonly qr: boolean },
): string {
  const lines = [`Open ${url.href}`, `and enter the code  ${code}`];
  if (options.qr) lines.push('', renderUnicodeCompact((completeUrl ?? url).href, { border: 2 }));
  return `${lines.join('\n')}\n`;
}
