/**
 * A real browser, Debian's Chromium, without a window. It trusts the providers that it is told of by the keys of their TLS certificates and
 * nothing else that the system would not, and resolves no name but `localhost`.
 */
import { type X509Certificate, hash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { type Browser, chromium } from 'playwright-core';

const program = '/usr/bin/chromium';
/** Its first start on a busy machine reads a lot from the disk. */
const START_TIMEOUT_MS = 90_000;

export async function startBrowser(providers: readonly { readonly issuer: string; readonly root: string }[]) {
  const keys = await Promise.all(providers.map(async ({ issuer, root }) => keyHashAt(new URL(issuer), root)));
  const args = [
    `--ignore-certificate-errors-spki-list=${keys.join(',')}`,
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1, EXCLUDE [::1]',
    '--disable-dev-shm-usage',
  ];
  const browser = await chromium.launch({ executablePath: program, headless: true, args, timeout: START_TIMEOUT_MS });
  return {
    /** One person's: with cookies of its own. */
    newVisitor: async () => newVisitor(browser),
    [Symbol.asyncDispose]: async () => browser.close(),
  };
}

export type TestBrowser = Awaited<ReturnType<typeof startBrowser>>;

async function newVisitor(browser: Browser) {
  const context = await browser.newContext();
  context.setDefaultTimeout(60_000);
  return { page: await context.newPage(), context, [Symbol.asyncDispose]: async () => context.close() };
}

/** base64 of SHA-256 over the public key of the certificate that the server shows. */
async function keyHashAt({ hostname, port }: URL, ca: string): Promise<string> {
  const socket = connect({ host: hostname, port: Number(port), ca, servername: hostname });
  await once(socket, 'secureConnect');
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  socket.destroy();
  if (certificate === undefined) throw new TypeError('a server has a certificate');
  return hash('sha256', certificate.publicKey.export({ format: 'der', type: 'spki' }), 'base64');
}
