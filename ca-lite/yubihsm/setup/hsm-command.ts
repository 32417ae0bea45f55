/** `countersign-ca hsm init | backup | restore`: from the command line's words to the work and back. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { printFacts, printJson } from '../../cli/output.ts';
import { CommandError } from '../../command-error.ts';
import { parseDuration } from '../../config/duration.ts';
import { writeNewFile } from '../../files/write-new.ts';
import type { KeyKind } from '../algorithms.ts';
import { openConnector } from '../connector.ts';
import { parseTimestampKey } from '../timestamp-key.ts';
import { backUpHsm } from './back-up.ts';
import { configSection } from './config-section.ts';
import { factory } from './erase-device.ts';
import { explained } from './explained.ts';
import { formatHsmBackup, parseHsmBackup } from './hsm-backup.ts';
import type { DeviceOptions } from './hsm-status.ts';
import { initialiseHsm, type InitialisedHsm, type Keeper, type RolePasswords } from './initialise.ts';
import { fileCustodians, readPassword, readShares, terminalCustodians, terminalPerson } from './person.ts';
import type { HsmPlan, RsaKind } from './plan.ts';
import { restoreHsm } from './restore.ts';
import { attestationFile, demandNoneOf, readText, secretFile, secretFilesOf } from './secret-files.ts';
import { thresholdOf } from './wrap-key-shares.ts';

/** Options of the commands that set a device up. */
export interface SetUpOptions extends DeviceOptions {
  readonly authKey?: number;
  readonly passwordFile?: string;
  readonly passwordFd?: number;
  readonly administratorPasswordFile?: string;
  readonly administratorPasswordFd?: number;
  readonly shareFile: readonly string[];
  readonly audit: 'on' | 'fixed';
  readonly reset?: boolean;
}

/** `hsm init` */
export interface InitOptions extends SetUpOptions {
  readonly way: 'template' | 'plain';
  readonly kind?: KeyKind;
  readonly timestampKey: 'file' | 'device';
  readonly userMaxLifetime: string;
  readonly hostMaxLifetime: string;
  readonly forbidPrincipal: readonly string[];
  readonly forbidRoot: boolean;
  readonly shares: number;
  readonly threshold: number;
  readonly backup: string;
}

/** `hsm backup` */
export interface BackupOptions extends DeviceOptions {
  readonly from: string;
  readonly administratorPasswordFile?: string;
  readonly administratorPasswordFd?: number;
  readonly shareFile: readonly string[];
}

const notBeforeOffsetSeconds = 10;
/** A template's lifetime is so much longer than the certificates': back-dating and the offset must fit in. */
const marginSeconds = 300;

/** Sets a device up. */
export async function init(options: InitOptions): Promise<void> {
  demandNoneOf([...secretFilesOf(options.dir), ...options.shareFile, options.backup]);
  const plan = planOf(options);
  warnOfRoot(options);
  const progress = progressOf(options);
  await using connector = openConnector(options.connector);
  const done = await explained(async () =>
    initialiseHsm({
      connector,
      present: await presentKey(options),
      administratorPassword: await administratorPassword(options, true),
      plan,
      shares: { threshold: options.threshold, total: options.shares },
      audit: options.audit,
      reset: options.reset === true,
      custodians:
        options.shareFile.length > 0 ? fileCustodians(options.shareFile) : terminalCustodians(terminalPerson()),
      keeper: await keeperOf(options),
      random: (length) => new Uint8Array(randomBytes(length)),
      now: () => new Date(),
      progress,
    }),
  );
  printDone(options, done, plan);
}

function planOf(options: InitOptions): HsmPlan {
  if (options.way === 'plain') return { way: 'plain', kind: options.kind ?? 'ed25519' };
  const kind = options.kind ?? 'rsa2048';
  if (!kind.startsWith('rsa')) throw new CommandError('Under a template the device signs with RSA keys only.');
  return {
    way: 'template',
    kind: kind as RsaKind,
    notBeforeOffsetSeconds,
    userNotAfterSeconds: secondsOf(options.userMaxLifetime) + marginSeconds,
    hostNotAfterSeconds: secondsOf(options.hostMaxLifetime) + marginSeconds,
    forbiddenUserPrincipals: [...new Set([...(options.forbidRoot ? ['root'] : []), ...options.forbidPrincipal])],
    timestampKey: options.timestampKey,
  };
}

/** What a template does not forbid can only be forbidden by another template, on every device. */
function warnOfRoot({ way, forbidRoot, forbidPrincipal }: InitOptions): void {
  if (way === 'plain' || forbidRoot || forbidPrincipal.includes('root')) return;
  process.stderr.write(
    "Warning: the device will sign user certificates for root. Then the CA's own policy alone keeps root from anybody, and whoever takes " +
      'the CA over is root on every host that trusts it. This can be changed only with a new template, on every device.\n',
  );
}

function secondsOf(duration: string): number {
  const seconds = parseDuration(duration);
  if (seconds === undefined || seconds > 0xffff_0000)
    throw new CommandError('A lifetime in a template ends after 136 years.');
  return seconds;
}

/** Makes a backup of a device that is in use. */
export async function backup(file: string, options: BackupOptions): Promise<void> {
  await using connector = openConnector(options.connector);
  const { plan } = await explained(async () => parseHsmBackup(readText(options.from)));
  const made = await explained(async () =>
    backUpHsm({
      connector,
      administratorPassword: await administratorPassword(options, false),
      plan,
      shares: await readShares(options.shareFile, terminalPerson, thresholdOf),
      now: () => new Date(),
    }),
  );
  await writeNewFile(file, formatHsmBackup(made), 0o600);
  if (options.json === true) return printJson({ backup: file, serial: made.serial, keys: made.keys.length });
  process.stdout.write(`${made.keys.length} keys of device ${made.serial} are in ${file}.\n`);
}

/** Restores a backup to another device. */
export async function restore(file: string, options: SetUpOptions): Promise<void> {
  const parsed = await explained(async () => parseHsmBackup(readText(file)));
  const progress = progressOf(options);
  await using connector = openConnector(options.connector);
  const done = await explained(async () =>
    restoreHsm({
      connector,
      present: await presentKey(options),
      administratorPassword: await administratorPassword(options, true),
      backup: parsed,
      shares: await readShares(options.shareFile, terminalPerson, thresholdOf),
      passwords: keptPasswords(options, parsed.plan),
      timestampKey: keptTimestampKey(options, parsed.plan),
      audit: options.audit,
      reset: options.reset === true,
      nowSeconds: () => Math.floor(Date.now() / 1000),
      progress,
    }),
  );
  printDone(options, done, parsed.plan);
}

function keptPasswords({ dir }: SetUpOptions, plan: HsmPlan): RolePasswords {
  const read = (role: keyof RolePasswords): string => readText(secretFile(dir, role)).trim();
  const timekeeper = plan.way === 'template' && plan.timestampKey === 'device';
  return { signer: read('signer'), auditor: read('auditor'), timekeeper: timekeeper ? read('timekeeper') : '' };
}

function keptTimestampKey({ dir }: SetUpOptions, plan: HsmPlan): KeyObject | undefined {
  if (plan.way === 'plain' || plan.timestampKey === 'device') return undefined;
  return parseTimestampKey(readText(secretFile(dir, 'timestampKey')));
}

async function presentKey(options: SetUpOptions): Promise<{ authKeyId: number; password: string }> {
  const { authKey = factory.authKeyId, passwordFile, passwordFd } = options;
  const given = passwordFile !== undefined || passwordFd !== undefined || authKey !== factory.authKeyId;
  if (!given) return factory;
  const source = { file: passwordFile, descriptor: passwordFd };
  return { authKeyId: authKey, password: await readPassword('present password of the device', source, terminalPerson) };
}

function administratorPassword(
  options: Pick<SetUpOptions, 'administratorPasswordFile' | 'administratorPasswordFd'>,
  confirm: boolean,
): Promise<string> {
  const source = { file: options.administratorPasswordFile, descriptor: options.administratorPasswordFd };
  return readPassword("administrator's password", source, terminalPerson, { confirm });
}

/** Keeps what belongs to the CA in its secrets directory. Never overwrites. */
async function keeperOf({ dir, backup: backupFile }: InitOptions): Promise<Keeper> {
  await mkdir(join(dir, 'secrets'), { recursive: true, mode: 0o700 });
  return {
    password: (role, password) => writeNewFile(secretFile(dir, role), `${password}\n`, 0o600),
    timestampKey: (key) => {
      const pem = key.export({ type: 'pkcs8', format: 'pem' });
      return writeNewFile(secretFile(dir, 'timestampKey'), pem, 0o600);
    },
    attestations: (text) => writeNewFile(attestationFile(dir), text, 0o644),
    backup: async (text) => {
      await writeNewFile(backupFile, text, 0o600);
      return readText(backupFile);
    },
  };
}

function progressOf({ json }: DeviceOptions): (step: string) => void {
  return (step) => void (json !== true && process.stderr.isTTY && process.stderr.write(`${step} ...\n`));
}

function printDone(options: DeviceOptions, done: InitialisedHsm, plan: HsmPlan): void {
  const config = configSection(plan, [options.connector]);
  const line = (name: 'userCa' | 'hostCa'): string => formatPublicKeyLine(done[name], `countersign ${name}`);
  if (options.json === true) {
    const { serial, firmware } = done;
    return printJson({ serial, firmware: firmware.join('.'), userCa: line('userCa'), hostCa: line('hostCa'), config });
  }
  printFacts([
    ['Device', done.serial],
    ['Firmware', done.firmware.join('.')],
    ['User CA', fingerprintOf(encodePublicKey(done.userCa))],
    ['Host CA', fingerprintOf(encodePublicKey(done.hostCa))],
    ['Restore', 'proven'],
  ]);
  process.stdout.write(`\nFor ca.toml:\n\n${config}\n${line('userCa')}\n${line('hostCa')}\n`);
}
