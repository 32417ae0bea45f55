/**
 * `countersign-ca rotate start | status | switch | retire | withdraw`: another SSH CA key, without a host or a user noticing
 * (docs/rotation.md). A server that runs takes each step within a second or two.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CertificateType } from '#openssh/certificate.ts';
import { CommandError } from '../command-error.ts';
import { type CaLayout, caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';
import { replaceFile } from '../files/write-new.ts';
import type { CaKeyType } from '../init/ca-key-type.ts';
import { describePlace, parseKeyPlace } from '../rotation/key-place.ts';
import { type NextKeyWish, makeNextKey, removeKeyFile } from '../rotation/next-key.ts';
import { publicKeyLines } from '../rotation/public-key-lines.ts';
import type { CaKeyRecord, RotationRefusal, RotationRequest } from '../store/ca-key-decisions.ts';
import type { Store } from '../store/store.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';
import { openReader } from './reading.ts';

export interface RotateOptions extends PassphraseOptions {
  readonly dir: string;
  readonly type: CertificateType;
  readonly keyType: CaKeyType;
  readonly object?: number;
  readonly template?: number;
  readonly label?: string;
  readonly id?: string;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

type Step = RotationRequest['step'];

const optionsOf = (command: Command): RotateOptions => command.optsWithGlobals<RotateOptions>();
const MAX_NAMED = 20;
const LOOK_AGAIN_MS = 2000;

/** Makes the next key, or takes one that a device has, and lets it be known. */
export async function startRotation(_options: object, command: Command): Promise<void> {
  const options = optionsOf(command);
  const layout = caLayout(options.dir);
  const { signer: settings } = await openConfig(layout);
  const wish = wishOf(options, settings.type);
  await using store = await openAdministrator(options.dir);
  const { keys } = await store.caKeys();
  if (keys.some(({ type, state }) => type === options.type && state === 'next'))
    throw explain('rotation-underway', options, 0);
  const passphrase = settings.type === 'file' ? await readPassphrase(options) : new Uint8Array();
  await using next = await makeNextKey(wish, { layout, settings, passphrase, keys, type: options.type, store });
  try {
    await decide(store, options, { do: 'publish', current: next.current, next: next.key });
    next.keep();
  } catch (error) {
    if (!(error instanceof CommandError)) next.keep(); // it may be on record all the same
    throw error;
  }
  await tell(store, options, 'publish', next.key.fingerprint);
}

/** Which key is to be the next one: the options must fit where the CA keys are. */
function wishOf({ object, template, label, id, keyType }: RotateOptions, place: string): NextKeyWish {
  const named = [object !== undefined && 'yubihsm', (label ?? id) !== undefined && 'pkcs11'].filter(Boolean);
  if (place === 'file' && named.length === 0 && template === undefined) return { kind: 'file', keyType };
  if (place === 'yubihsm' && named.join() === 'yubihsm' && object !== undefined)
    return { kind: 'yubihsm', key: object, ...(template !== undefined && { template }) };
  if (place === 'pkcs11' && named.join() === 'pkcs11' && template === undefined)
    return { kind: 'pkcs11', ...(label !== undefined && { label }), ...(id !== undefined && { id }) };
  const how: Readonly<Record<string, string>> = {
    file: 'The CA keys are in files: the next one is made by this command, without --object, --template, --label and --id.',
    yubihsm:
      'The CA keys are in a YubiHSM: make the next one there and name it with --object (and --template, if it signs under one).',
    pkcs11: 'The CA keys are in a PKCS#11 token: make the next one there and name it with --label or --id.',
  };
  throw new CommandError(how[place] ?? '');
}

/** From now on certificates are signed with the next key. */
export async function switchKeys(_options: object, command: Command): Promise<void> {
  await take(optionsOf(command), 'switch');
}

/** Old keys are trusted no more. */
export async function retireKeys(_options: object, command: Command): Promise<void> {
  await take(optionsOf(command), 'retire');
}

/** Takes `start` back. */
export async function withdrawKey(_options: object, command: Command): Promise<void> {
  await take(optionsOf(command), 'withdraw');
}

async function take(options: RotateOptions, step: 'switch' | 'retire' | 'withdraw'): Promise<void> {
  await using store = await openAdministrator(options.dir);
  if (options.wait === true) await waitUntilReady(store, options, step);
  const { keys } = await store.caKeys();
  await decide(store, options, { do: step });
  const next = keys.find(({ type, state }) => type === options.type && state === 'next');
  if (step === 'withdraw' && next !== undefined) await removeKeyFile(caLayout(options.dir), next);
  await tell(store, options, step, null);
}

async function decide(store: Store, options: RotateOptions, step: Step): Promise<void> {
  const { type, force = false } = options;
  const now = nowInSeconds();
  const keyFingerprint = step.do === 'publish' ? step.next.fingerprint : null;
  const subject = { type, keyFingerprint, actor: administrator() };
  const audit = { time: now, action: `rotate-${step.do}`, subject };
  const decision = await store.rotate({ type, step, force, now, audit });
  if (!decision.accepted) throw explain(decision.refusal, options, decision.waiting);
}

/** Looks until nobody is left who would be left behind; what cannot change by waiting is left to the decision. */
async function waitUntilReady(store: Store, options: RotateOptions, step: string): Promise<void> {
  let told = -1;
  for (;;) {
    const waiting = await countWaiting(store, options.type, step);
    if (waiting === 0) return;
    if (waiting !== told)
      process.stderr.write(`waiting for ${waiting} ${step === 'switch' ? 'hosts' : 'certificates'}\n`);
    told = waiting;
    await sleep(LOOK_AGAIN_MS);
  }
}

async function countWaiting(store: Store, type: CertificateType, step: string): Promise<number> {
  const now = nowInSeconds();
  const { keys } = await store.caKeys();
  const concerned = keys.filter((key) => key.type === type && key.state === (step === 'switch' ? 'next' : 'old'));
  let waiting = 0;
  for (const { key, fingerprint } of concerned) {
    if (step === 'switch') waiting += (await store.hostsWithout(type, fingerprint, now, MAX_COUNTED)).length;
    else waiting += await store.certificatesBy(type, key, now);
  }
  return waiting;
}

const MAX_COUNTED = 1_000_000;

async function tell(store: Store, options: RotateOptions, step: Step['do'], fingerprint: string | null): Promise<void> {
  const { type, json } = options;
  await publish(store, caLayout(options.dir), type);
  if (json === true) return printJson({ type, step, fingerprint });
  process.stdout.write(`${done[step](type, fingerprint ?? '')} A server that runs takes it up within seconds.\n`);
}

/** The file beside the CA's certificates, for people who copy it: the current key first, then all others that are trusted. */
async function publish(store: Store, layout: CaLayout, type: CertificateType): Promise<void> {
  const { keys } = await store.caKeys();
  const file = type === 'host' ? layout.hostCaPublicKey : layout.userCaPublicKey;
  await replaceFile(file, publicKeyLines(keys, type), 0o644);
}

const done: Readonly<Record<Step['do'], (type: string, fingerprint: string) => string>> = {
  publish: (type, fingerprint) =>
    `The next ${type} CA key is ${fingerprint}. Hosts learn it from GET /ssh/trust; see who has: countersign-ca rotate status.`,
  switch: (type) => `The next ${type} CA key signs from now on; the one before stays trusted until it is retired.`,
  retire: (type) => `Old ${type} CA keys are retired: nothing that they signed counts any more.`,
  withdraw: (type) => `The next ${type} CA key is withdrawn; nothing was signed with it.`,
};

function explain(refusal: RotationRefusal, { type }: RotateOptions, waiting: number): CommandError {
  switch (refusal) {
    case 'rotation-underway':
      return new CommandError(
        `A next ${type} CA key is published already. Go on with: countersign-ca rotate switch --type ${type}; or take it back with: ` +
          `countersign-ca rotate withdraw --type ${type}`,
      );
    case 'key-known':
      return new CommandError('This key is, or was, a CA key of this CA. Make a new one.');
    case 'no-next-key':
      return new CommandError(
        `There is no next ${type} CA key. Make one with: countersign-ca rotate start --type ${type}`,
      );
    case 'hosts-not-ready':
      return new CommandError(
        `${waiting} live hosts have not reported that they trust the next ${type} CA key (countersign-ca rotate status). Wait for them ` +
          `(--wait), or leave them behind with --force.`,
      );
    case 'nothing-to-retire':
      return new CommandError(`There is no old ${type} CA key. After a switch there is one.`);
    case 'certificates-in-use':
      return new CommandError(
        `${waiting} valid certificates are signed by the old ${type} CA key. Wait until they are renewed or expire (--wait), or break them with ` +
          `--force.`,
      );
  }
}

/** The keys, where they are, and which hosts and certificates are waited for. */
export async function rotationStatus(_options: object, command: Command): Promise<void> {
  const { dir, json } = optionsOf(command);
  await using store = await openReader(dir);
  const { keys } = await store.caKeys();
  const now = nowInSeconds();
  const listed = [];
  for (const facts of keys) {
    const { type, state, fingerprint, key } = facts;
    const waitingFor = state === 'next' ? await store.hostsWithout(type, fingerprint, now, MAX_NAMED) : [];
    const certificates = state === 'old' ? await store.certificatesBy(type, key, now) : 0;
    listed.push({ ...describe(facts), waitingFor, certificates });
  }
  if (json === true) return printJson(listed);
  const rows = listed.map(({ type, state, fingerprint, changedAt, place, waitingFor, certificates }) => {
    const names = waitingFor.length === MAX_NAMED ? [...waitingFor, '...'] : waitingFor;
    const waiting = certificates > 0 ? `${certificates} certificates` : names.join(', ');
    return [type, state, fingerprint, changedAt, place, waiting === '' ? '-' : waiting];
  });
  printTable(['TYPE', 'STATE', 'KEY', 'SINCE', 'PLACE', 'WAITING FOR'], rows, 'No CA key was rotated yet.');
}

function describe({ type, state, fingerprint, changedAt, createdAt, secret }: CaKeyRecord) {
  const parsed = parseKeyPlace(secret);
  const place = parsed === undefined ? secret : describePlace(parsed);
  return { type, state, fingerprint, changedAt: formatTime(changedAt), createdAt: formatTime(createdAt), place };
}
