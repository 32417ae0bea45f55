/** What the browser shows when it is back: a page of words, without a script, and nothing of what the request said. Pure. */
import { hash } from 'node:crypto';

export interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly html: string;
}

const style =
  'body{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222;background:#fff}' +
  '@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}}';

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  connection: 'close',
};

export const receivedPage = page(
  200,
  'Back at Countersign',
  'Your sign-in has arrived. You can close this tab; all else is in the terminal.',
);
export const refusedPage = page(
  200,
  'Not signed in',
  'The identity provider did not sign you in. The terminal says why. You can close this tab.',
);
export const strangePage = page(404, 'Nothing here', 'No sign-in that is under way leads here.');

function page(status: number, title: string, text: string): Page {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style><h1>${title}</h1><p>${text}</p></html>\n`;
  return { status, headers, html };
}
