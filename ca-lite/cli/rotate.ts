/**
 * `countersign-ca rotate start | status | switch | retire`: another SSH CA key, without a host or a user noticing (docs/revocation.md).
 * A server that runs takes each step up when it is started again; until then it goes on as before, which breaks nothing.
 */
import type { Command } from 'commander';
import type { CertificateType } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { CommandError } from '../command-error.ts';
import { type CaLayout, type RotatedSecretName, caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';
import { readSecret, writeSecret } from '../directory/secrets.ts';
import type { CaKeyType } from '../init/ca-key-type.ts';
import { generateCaKey } from '../init/ca-keys.ts';
import { currentSecret } from '../rotation/ca-keys.ts';
import type { CaKey, RotationRefusal, RotationRequest } from '../store/ca-key-decisions.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';
import { openReader } from './reading.ts';

export interface RotateOptions extends PassphraseOptions {
  readonly dir: string;
  readonly type: CertificateType;
  readonly keyType: CaKeyType;
  readonly force?: boolean;
  readonly json?: boolean;
}

const optionsOf = (command: Command): RotateOptions => command.optsWithGlobals<RotateOptions>();
const MAX_NAMED = 20;

/** Makes the next key and lets it be known. */
export async function startRotation(_options: object, command: Command): Promise<void> {
  const options = optionsOf(command);
  const layout = caLayout(options.dir);
  const { signer } = await openConfig(layout);
  if (signer.type !== 'file')
    throw new CommandError(
      `The CA keys are in a ${signer.type} device: make the next key there. This command is for keys in files.`,
    );
  await using store = await openAdministrator(options.dir);
  const { keys } = await store.caKeys();
  if (keys.some(({ type, state }) => type === options.type && state === 'next'))
    throw explain('rotation-underway', options, 0);
  const passphrase = await readPassphrase(options);
  const secret = currentSecret(keys, options.type);
  // Opening it proves the passphrase: all secrets of a directory have the same one.
  const current = keyOf(publicKeyFromObject(await readSecret(layout, secret, passphrase)), secret);
  const next = await makeKey(layout, options, passphrase);
  await decide(options, { do: 'publish', current, next }, next.fingerprint);
}

async function makeKey(layout: CaLayout, { type, keyType }: RotateOptions, passphrase: Uint8Array): Promise<CaKey> {
  const name: RotatedSecretName = `ssh_${type}_ca_${Date.now()}`;
  const privateKey = await generateCaKey(keyType);
  await writeSecret(layout, name, privateKey, passphrase);
  return keyOf(publicKeyFromObject(privateKey), name);
}

function keyOf(publicKey: PublicKey, secret: string): CaKey {
  const key = encodePublicKey(publicKey);
  return { key, fingerprint: fingerprintOf(key), secret };
}

/** From now on certificates are signed with the next key. */
export async function switchKeys(_options: object, command: Command): Promise<void> {
  await decide(optionsOf(command), { do: 'switch' }, null);
}

/** Old keys are trusted no more. */
export async function retireKeys(_options: object, command: Command): Promise<void> {
  await decide(optionsOf(command), { do: 'retire' }, null);
}

async function decide(
  options: RotateOptions,
  step: RotationRequest['step'],
  fingerprint: string | null,
): Promise<void> {
  const { type, force = false, json } = options;
  await using store = await openAdministrator(options.dir);
  const now = nowInSeconds();
  const subject = { type, keyFingerprint: fingerprint, actor: administrator() };
  const decision = await store.rotate({
    type,
    step,
    force,
    now,
    audit: { time: now, action: `rotate-${step.do}`, subject },
  });
  if (!decision.accepted) throw explain(decision.refusal, options, decision.waiting);
  if (json === true) return printJson({ type, step: step.do, fingerprint });
  process.stdout.write(`${done[step.do](type, fingerprint ?? '')} Restart the CA for it.\n`);
}

const done: Readonly<Record<RotationRequest['step']['do'], (type: string, fingerprint: string) => string>> = {
  publish: (type, fingerprint) =>
    `The next ${type} CA key is ${fingerprint}. Hosts learn it from GET /ssh/trust; see who has: countersign-ca rotate status.`,
  switch: (type) => `The next ${type} CA key signs from now on; the one before stays trusted until it is retired.`,
  retire: (type) => `Old ${type} CA keys are retired: nothing that they signed counts any more.`,
};

function explain(refusal: RotationRefusal, { type }: RotateOptions, waiting: number): CommandError {
  switch (refusal) {
    case 'rotation-underway':
      return new CommandError(
        `A next ${type} CA key is published already. Go on with: countersign-ca rotate switch --type ${type}`,
      );
    case 'no-next-key':
      return new CommandError(
        `There is no next ${type} CA key. Make one with: countersign-ca rotate start --type ${type}`,
      );
    case 'hosts-not-ready':
      return new CommandError(
        `${waiting} live hosts have not reported that they trust the next ${type} CA key (countersign-ca rotate status). Wait for them, or leave ` +
          `them behind with --force.`,
      );
    case 'nothing-to-retire':
      return new CommandError(`There is no old ${type} CA key. After a switch there is one.`);
    case 'certificates-in-use':
      return new CommandError(
        `${waiting} valid certificates are signed by the old ${type} CA key. Wait until they are renewed or expire, or break them with --force.`,
      );
  }
}

/** The keys, and which hosts are waited for. */
export async function rotationStatus(_options: object, command: Command): Promise<void> {
  const { dir, json } = optionsOf(command);
  await using store = await openReader(dir);
  const { keys } = await store.caKeys();
  const now = nowInSeconds();
  const listed = await Promise.all(
    keys.map(async (facts) => ({
      type: facts.type,
      state: facts.state,
      fingerprint: facts.fingerprint,
      changedAt: formatTime(facts.changedAt),
      createdAt: formatTime(facts.createdAt),
      waitingFor: facts.state === 'next' ? await store.hostsWithout(facts.type, facts.fingerprint, now, MAX_NAMED) : [],
    })),
  );
  if (json === true) return printJson(listed);
  const rows = listed.map(({ type, state, fingerprint, changedAt, waitingFor }) => {
    const more = waitingFor.length === MAX_NAMED ? ', ...' : '';
    return [type, state, fingerprint, changedAt, waitingFor.length === 0 ? '-' : `${waitingFor.join(', ')}${more}`];
  });
  printTable(['TYPE', 'STATE', 'KEY', 'SINCE', 'WAITING FOR'], rows, 'No CA key was rotated yet.');
}
