/** The command line of `countersign-ca hsm`: what each command takes. Their code is loaded when they run. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { collect, parseDescriptor, parseDurationOption } from '../cli/option-value.ts';
import { running } from '../cli/run.ts';
import { keyKinds } from './algorithms.ts';

const defaultConnector = 'http://127.0.0.1:12345';

/** Adds `hsm init | status | backup | restore` to the program. */
export function registerHsm(program: Command): void {
  const hsm = program.command('hsm').description('set up and look after the YubiHSM that holds the SSH CA keys');
  addInit(hsm);
  addStatus(hsm);
  addBackup(hsm);
  addRestore(hsm);
}

function command(hsm: Command, name: string, description: string): Command {
  return hsm
    .command(name)
    .description(description)
    .addOption(new Option('--dir <directory>', 'the CA directory').env('COUNTERSIGN_CA_DIR').makeOptionMandatory())
    .option('--connector <url>', "the device's connector", defaultConnector)
    .option('--json', 'print JSON');
}

function addInit(hsm: Command): void {
  const init = command(
    hsm,
    'init',
    'set a fresh device up: roles, CA keys, templates, backup in shares; done when a restore was proven',
  )
    .addOption(
      new Option('--way <way>', 'under a template the device itself limits what is signed')
        .choices(['template', 'plain'])
        .default('template'),
    )
    .addOption(
      new Option('--kind <kind>', 'of the CA keys: rsa2048 or ed25519 when not given').choices(Object.keys(keyKinds)),
    )
    .addOption(
      new Option('--timestamp-key <place>', 'where the key that vouches for the time lives')
        .choices(['file', 'device'])
        .default('file'),
    )
    .option('--user-max-lifetime <duration>', 'no user certificate lives longer', parseDurationOption, '24h')
    .option('--host-max-lifetime <duration>', 'no host certificate lives longer', parseDurationOption, '90d')
    .option('--forbid-principal <name>', 'never in a user certificate, beside root; repeatable', collect, [])
    .option('--no-forbid-root', 'let the device sign user certificates for root')
    .option('--shares <number>', 'of the wrap key that opens the backup', parseCount, 3)
    .option('--threshold <number>', 'so many shares open it', parseCount, 2)
    .requiredOption('--backup <file>', 'where the backup goes; it is encrypted');
  addSetUpOptions(init).action(running(async () => (await import('./setup/hsm-command.ts')).init));
}

function addStatus(hsm: Command): void {
  addPasswordOptions(command(hsm, 'status', 'show a device, what each key may do, and what is wrong with it'))
    .option('--vendor-certificates <file>', "the vendor's root and intermediate, to which attestations must lead")
    .action(running(async () => (await import('./setup/hsm-status.ts')).status));
}

function addBackup(hsm: Command): void {
  const backup = command(hsm, 'backup', 'make a new backup of a device that is in use')
    .argument('<file>', 'where it goes')
    .requiredOption('--from <file>', 'the backup that was made when the device was set up');
  addAdministratorOptions(addShareOption(backup)).action(
    running(async () => (await import('./setup/hsm-command.ts')).backup),
  );
}

function addRestore(hsm: Command): void {
  const restore = command(
    hsm,
    'restore',
    'put the keys of a backup into another device, and prove that it signs',
  ).argument('<file>', 'the backup');
  addSetUpOptions(restore).action(running(async () => (await import('./setup/hsm-command.ts')).restore));
}

function addSetUpOptions(to: Command): Command {
  addAdministratorOptions(addShareOption(addPasswordOptions(to)));
  return to
    .addOption(
      new Option('--audit <how>', 'the device stops when nobody reads its log; fixed lasts until a reset')
        .choices(['on', 'fixed'])
        .default('on'),
    )
    .option('--reset', 'ERASE everything on the device first');
}

function addPasswordOptions(to: Command): Command {
  return to
    .option('--auth-key <id>', 'the authentication key to open the device with', parseId)
    .option('--password-file <file>', 'its password, one line')
    .option('--password-fd <number>', 'or from this open file descriptor', parseDescriptor);
}

function addAdministratorOptions(to: Command): Command {
  return to
    .option('--administrator-password-file <file>', "the administrator's password, one line; asked for when not given")
    .option('--administrator-password-fd <number>', 'or from this open file descriptor', parseDescriptor);
}

function addShareOption(to: Command): Command {
  return to.option(
    '--share-file <file>',
    'one share of the wrap key; repeatable; asked for when not given',
    collect,
    [],
  );
}

function parseId(text: string): number {
  const id = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : 0;
  if (id < 1 || id > 0xfffe) throw new InvalidArgumentError('Expected an object id, such as 0x0012.');
  return id;
}

function parseCount(text: string): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (count < 2 || count > 20) throw new InvalidArgumentError('Expected a number from 2 to 20.');
  return count;
}
