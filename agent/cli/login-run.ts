/** `countersign login`: what it does. */
import { readFile } from 'node:fs/promises';
import { systemErrorReason } from '../failure.ts';
import { printable } from '../ca/foreign-text.ts';
import { openCaClient } from '../ca/ca-client.ts';
import { type Authority, fingerprintsOf, requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { StateError } from '../state/state-error.ts';
import { AgentKeys, type HeldCertificate, findAgentSocket } from '../user/login/agent-keys.ts';
import { browserCommand, openBrowser } from '../user/login/browser.ts';
import { formatDevicePrompt } from '../user/login/device-flow.ts';
import type { Provisioner } from '../user/login/provisioner.ts';
import { type SignedIn, signIn, signInTimeout } from '../user/login/sign-in.ts';
import { describeCertificate } from './certificate-text.ts';
import { catchInterrupts } from './interrupt.ts';
import type { LoginOptions } from './login.ts';

/** @throws CaError, LoginError, AgentFailure, StateError */
export async function runLogin(options: LoginOptions): Promise<void> {
  const authority = await requireAuthority(stateDirectoryPath(options.stateDir));
  const socket = await findAgentSocket(options.socket); // before the person goes to sign in for nothing
  const providerCa = options.providerCa === undefined ? undefined : await readPem(options.providerCa);
  using interrupts = catchInterrupts();
  using deadline = abortAfter(options.timeout);
  const signal = AbortSignal.any([interrupts.signal, deadline.signal]);
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal });
  const signedIn = await signIn({
    authority,
    client,
    signal,
    chooseFlow: (provisioner) => chooseFlow(options, provisioner),
    showUrl: async (url) => showUrl(url, options),
    showDevicePrompt: (prompt) =>
      process.stderr.write(formatDevicePrompt(prompt, { qr: process.stderr.isTTY && options.json !== true })),
    ...(options.provisioner === undefined ? {} : { provisioner: options.provisioner }),
    ...(providerCa === undefined ? {} : { providerCa }),
  });
  await keep(signedIn, socket, authority);
  process.stdout.write(options.json === true ? formatJson(signedIn, socket) : formatText(signedIn));
}

/** In the agent, in place of what an earlier sign-in of the same kind left there. */
async function keep({ key, certificate, provisioner }: SignedIn, socket: string, authority: Authority): Promise<void> {
  using agent = new AgentKeys(socket);
  const held: HeldCertificate = { certificate, comment: commentOf(provisioner, authority) };
  const earlier = await agent.listOf(fingerprintsOf(authority.userCaKeys));
  await agent.add(key, held, Math.floor(Date.now() / 1000));
  for (const each of earlier) if (each.comment === held.comment) await agent.remove(each);
}

function commentOf({ name }: Provisioner, { url }: Authority): string {
  return `countersign ${printable(name, 64)} ${new URL(url).host}`;
}

/** With a code where the person asks for it, or where no browser could be shown and the CA takes it. */
function chooseFlow({ device, browser }: LoginOptions, { client }: Provisioner): 'browser' | 'device' {
  if (device === true) return 'device';
  if (browser === false || !client.deviceFlow) return 'browser';
  return browserCommand(process.platform, process.env, nameOf(browser)) === undefined ? 'device' : 'browser';
}

function nameOf(browser: string | boolean | undefined): string | undefined {
  return typeof browser === 'string' ? browser : undefined;
}

/** The address is shown in any case: a browser may start and show nothing. */
async function showUrl(url: URL, { browser }: LoginOptions): Promise<void> {
  process.stderr.write(`Sign in at:\n  ${url.href}\n`);
  if (browser === false) return;
  const command = browserCommand(process.platform, process.env, nameOf(browser));
  if (command === undefined) return;
  const fault = await openBrowser(command, url);
  if (fault !== undefined) process.stderr.write(`${command[0]} did not start (${fault}): open the address yourself.\n`);
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new StateError('state-unusable', `${path} cannot be read: ${systemErrorReason(cause)}`, { cause });
  }
}

function abortAfter(seconds: number): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(signInTimeout(seconds)), seconds * 1000);
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}

function formatJson({ provisioner, certificate }: SignedIn, socket: string): string {
  return `${JSON.stringify({ provisioner: provisioner.name, ...describeCertificate(certificate), agent: socket }, null, 2)}\n`;
}

function formatText({ provisioner, certificate }: SignedIn): string {
  const { keyId, principals, validBefore } = describeCertificate(certificate);
  const lines = [
    `Signed in with ${printable(provisioner.name, 64)}: ${printable(keyId, 256)}`,
    `  for the accounts ${printable(principals.join(' '), 1024)}`,
    `  until ${validBefore}`,
    'The key and its certificate are in the agent: see them with ssh-add -l.',
  ];
  return `${lines.join('\n')}\n`;
}
