/** `countersign bootstrap`: what it does. */
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { parseCaUrl, parseRootFingerprint } from '../ca/ca-url.ts';
import { fetchAuthority } from '../ca/trust.ts';
import { type Authority, authorityPath, readAuthority, writeAuthority } from '../state/authority.ts';
import { openStateDirectory, stateDirectoryPath } from '../state/state-directory.ts';
import { StateError } from '../state/state-error.ts';
import type { BootstrapOptions } from './bootstrap.ts';
import { catchInterrupts } from './interrupt.ts';
import { createProgress } from './progress.ts';

/** @throws CaError, StateError */
export async function runBootstrap(options: BootstrapOptions): Promise<void> {
  const url = parseCaUrl(options.ca);
  const rootFingerprint = parseRootFingerprint(options.fingerprint);
  const directory = stateDirectoryPath(options.stateDir);
  using interrupts = catchInterrupts();
  const progress = createProgress(process.stderr, { silent: options.json === true });
  await openStateDirectory(directory);
  const known = await readAuthority(directory).catch((error: unknown) => damagedIsNone(error, options));
  if (options.force !== true) refuseAnother(known, { url, rootFingerprint }, directory);
  const { signal } = interrupts;
  const onWait = (seconds: number) => progress.note(`the CA is busy and asked to wait ${seconds} s`);
  const authority = await progress.run(`Comparing the root certificate of ${url} with the fingerprint`, async () =>
    fetchAuthority({ url, rootFingerprint, signal, onWait }, new Date()),
  );
  await writeAuthority(directory, authority);
  process.stdout.write(options.json === true ? formatJson(authority, directory) : formatText(authority, directory));
}

/** With --force a damaged file is no reason to stop: it is replaced. */
function damagedIsNone(error: unknown, options: BootstrapOptions): undefined {
  if (options.force === true && error instanceof StateError && error.code === 'state-damaged') return undefined;
  throw error;
}

function refuseAnother(
  known: Authority | undefined,
  wanted: Pick<Authority, 'url' | 'rootFingerprint'>,
  directory: string,
): void {
  if (known === undefined || known.rootFingerprint === wanted.rootFingerprint) return;
  throw new StateError('different-authority', `another CA is trusted already: ${known.url}`, {
    advice: `Its root has the fingerprint ${known.rootFingerprint} (${authorityPath(directory)}). To trust the new CA in its place, add --force.`,
  });
}

function formatJson({ url, rootFingerprint, hostCaKeys, userCaKeys }: Authority, directory: string): string {
  const keys = { hostCaKeys: hostCaKeys.map(fingerprint), userCaKeys: userCaKeys.map(fingerprint) };
  return `${JSON.stringify({ url, rootFingerprint, ...keys, file: authorityPath(directory) }, null, 2)}\n`;
}

function formatText({ url, hostCaKeys, userCaKeys }: Authority, directory: string): string {
  const lines = [
    `Trusted: ${url}`,
    ...hostCaKeys.map((key) => `  host CA key ${fingerprint(key)}`),
    ...userCaKeys.map((key) => `  user CA key ${fingerprint(key)}`),
    `Kept in ${authorityPath(directory)}`,
    'Next, on a server: countersign host enroll',
  ];
  return `${lines.join('\n')}\n`;
}

function fingerprint(key: PublicKey): string {
  return fingerprintOf(encodePublicKey(key));
}
