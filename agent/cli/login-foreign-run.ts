/** `countersign login` into an ssh-agent that is not ours: the key and its certificate go there over the agent protocol, and nobody renews them. */
import { printable } from '../ca/foreign-text.ts';
import { openCaClient } from '../ca/ca-client.ts';
import { currentAuthority } from '../ca/current-authority.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { AgentKeys, type HeldCertificate } from '../user/login/agent-keys.ts';
import { formatDevicePrompt } from '../user/login/device-prompt.ts';
import { readProviderCa } from '../user/session/session-renewal.ts';
import type { Provisioner } from '../user/login/provisioner.ts';
import { type SignedIn, signIn, signInTimeout } from '../user/login/sign-in.ts';
import { describeCertificate } from './certificate-text.ts';
import { chooseFlow, showUrl } from './login-browser.ts';
import { catchInterrupts } from './interrupt.ts';
import type { LoginOptions } from './login.ts';

/** @throws CaError, LoginError, AgentFailure, StateError */
export async function signInToForeignAgent(options: LoginOptions, socket: string): Promise<void> {
  const stateDirectory = stateDirectoryPath(options.stateDir);
  const authority = await currentAuthority(stateDirectory);
  const named = options.providerCa === undefined ? {} : { providerCa: options.providerCa };
  const providerCa = await readProviderCa({ stateDirectory, ...named });
  using interrupts = catchInterrupts();
  using deadline = abortAfter(options.timeout);
  const signal = AbortSignal.any([interrupts.signal, deadline.signal]);
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal });
  const signedIn = await signIn({
    authority,
    client,
    signal,
    keepsSession: false,
    chooseFlow: ({ client }) => {
      const flow = chooseFlow(options);
      return flow === 'device-if-offered' ? (client.deviceFlow ? 'device' : 'browser') : flow;
    },
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
