/** `countersign login --token-file` and its like: what they do. */
import { readFile } from 'node:fs/promises';
import { openCaClient, trusted } from '../ca/ca-client.ts';
import { printable } from '../ca/foreign-text.ts';
import { openClock } from '../clock/clock-record.ts';
import { systemErrorReason } from '../failure.ts';
import { currentAuthority } from '../ca/current-authority.ts';
import { fingerprintsOf } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { StateError } from '../state/state-error.ts';
import { chooseAgent } from '../user/agent-choice.ts';
import { AgentKeys } from '../user/login/agent-keys.ts';
import { signInTimeout } from '../user/login/sign-in.ts';
import { signInWorkload } from '../user/workload/workload-sign-in.ts';
import type { TokenSource } from '../user/workload/workload-token.ts';
import { describeCertificate } from './certificate-text.ts';
import { catchInterrupts } from './interrupt.ts';
import type { LoginOptions } from './login.ts';

/** @throws StateError */
async function tokenSourceOf(options: LoginOptions): Promise<TokenSource> {
  const { tokenFile: path, tokenCommand: program, providerCa } = options;
  if (path !== undefined) return { kind: 'file', path };
  if (program !== undefined) return { kind: 'command', program };
  const ca = providerCa === undefined ? undefined : await readPem(providerCa);
  return { kind: 'actions', environment: process.env, ca };
}

/** @throws WorkloadError, CaError, LoginError, AgentFailure, StateError */
export async function runWorkloadLogin(options: LoginOptions): Promise<void> {
  const source = await tokenSourceOf(options);
  const stateDirectory = stateDirectoryPath(options.stateDir);
  const authority = await currentAuthority(stateDirectory);
  const { socket } = await chooseAgent(options.socket); // before a token is asked for in vain
  using interrupts = catchInterrupts();
  const deadline = AbortSignal.timeout(options.timeout * 1000);
  const signal = AbortSignal.any([interrupts.signal, deadline]);
  await using client = openCaClient({ ...trusted(authority, await openClock(stateDirectory, authority)), signal });
  const { name, key, certificate } = await signInWorkload({
    authority,
    client,
    provisioner: options.provisioner,
    source,
    signal,
  }).catch((error: unknown) => {
    throw deadline.aborted && !interrupts.signal.aborted ? signInTimeout(options.timeout) : error;
  });
  using agent = new AgentKeys(socket);
  const held = { certificate, comment: `countersign ${printable(name, 64)} ${new URL(authority.url).host}` };
  const earlier = await agent.listOf(fingerprintsOf(authority.userCaKeys));
  await agent.add(key, held, Math.floor(Date.now() / 1000));
  for (const each of earlier) if (each.comment === held.comment) await agent.remove(each);
  const { keyId, principals, ...rest } = describeCertificate(certificate);
  const json = { provisioner: name, keyId, principals, ...rest, agent: socket };
  const words = `Signed in with ${printable(name, 64)}: ${printable(keyId, 256)}\n  for the accounts ${printable(principals.join(' '), 1024)}\n  until ${rest.validBefore}\n`;
  process.stdout.write(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : words);
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new StateError('state-unusable', `${path} cannot be read: ${systemErrorReason(cause)}`, { cause });
  }
}
