/** The command line of `countersign-ca`: what each command takes. Their code is loaded when they run, so that `--help` is quick. */
import { Command, Option } from 'commander';
import { version } from '#protocol/version.ts';
import { caKeyTypes } from '../init/ca-key-type.ts';
import { registerHsm } from '../yubihsm/cli.ts';
import {
  collect,
  parseDurationOption,
  parseKeyIdentifier,
  parseLimit,
  parseObjectId,
  parseSerial,
} from './option-value.ts';
import { addPassphraseOptions } from './passphrase-options.ts';
import { running } from './run.ts';

export function createProgram(): Command {
  const program = new Command('countersign-ca')
    .description('A lightweight CA for SSH: hosts prove their key and get certificates, nobody copies keys.')
    .version(version)
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      '\nExit status: 0 done, 1 refused or failed (stderr says why and what to do), 2 wrong usage.',
    );
  for (const add of [
    addInit,
    addImportIntermediate,
    addServe,
    addToken,
    addCerts,
    addShow,
    addHosts,
    addGrant,
    addRevoke,
    addLineages,
    addLineage,
    addKrl,
    addRotate,
    addAudit,
    addCheckConfig,
    addBackup,
    addRestore,
    registerHsm,
  ])
    add(program);
  return program;
}

function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(new Option('--dir <directory>', 'the CA directory').env('COUNTERSIGN_CA_DIR').makeOptionMandatory());
}

const JSON_OPTION = ['--json', 'print JSON'] as const;

function addInit(program: Command): void {
  const init = command(
    program,
    'init',
    'make a CA directory: keys, certificates, configuration and store. Never overwrites.',
  )
    .requiredOption('--name <text>', 'what people call this CA')
    .requiredOption('--dns <name>', 'a name or address by which clients reach it; repeatable', collect)
    .option('--address <[host]:port>', 'where to listen', ':8443')
    .addOption(new Option('--key-type <type>', 'of the SSH CA keys').choices(caKeyTypes).default('ed25519'))
    .option(
      '--allow-name <pattern>',
      'hosts may enrol under this name: web1.example.com, *.example.com, **.example.com; repeatable',
      collect,
      [],
    )
    .option('--allow-address <range>', 'and from these addresses, e.g. 10.0.0.0/8; repeatable', collect, [])
    .option('--allow-user <name>', 'user certificates may be issued for this login name; repeatable', collect, [])
    .option('--root <file>', 'bring your own X.509 root certificate (EC P-256), with --key')
    .option('--key <file>', 'its private key: signs the intermediate and is not kept')
    .option('--csr', 'make a request for an intermediate, to be signed by a PKI of your own')
    .option('--ssh-host-key <file>', 'bring your own SSH host CA key')
    .option('--ssh-user-key <file>', 'bring your own SSH user CA key');
  addPassphraseOptions(init)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./init.ts')).init));
}

function addImportIntermediate(program: Command): void {
  const add = command(program, 'import-intermediate', 'complete a CA directory that was made with init --csr')
    .argument('<file>', 'the signed intermediate certificate; the root may follow in the same file')
    .option('--root <file>', 'the root certificate that signed it');
  addPassphraseOptions(add)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./import-intermediate.ts')).importIntermediate));
}

function addServe(program: Command): void {
  addPassphraseOptions(
    command(
      program,
      'serve',
      'answer requests until SIGTERM or SIGINT; requests in flight are finished first. SIGHUP: read ca.toml anew',
    ),
  )
    .option('--address <[host]:port>', 'listen here instead of where ca.toml says')
    .option('--json', 'print one JSON object when ready')
    .action(running(async () => (await import('./serve.ts')).serve));
}

function addToken(program: Command): void {
  const token = command(
    program,
    'token',
    'make a one-time token for a certificate, to be used with POST /ssh/sign or `step ssh certificate --token`',
  )
    .option('--host <name>', 'for a host certificate with this key ID')
    .option('--user <name>', 'for a user certificate with this key ID')
    .option(
      '--principal <name>',
      'what the certificate is valid for; repeatable; default: the name itself',
      collect,
      [],
    )
    .option(
      '--not-after <duration>',
      'lifetime of the certificate, e.g. 12h; default: as in ca.toml',
      parseDurationOption,
    )
    .option('--key <file|fingerprint>', 'only this public key may be certified')
    .option('--for <duration>', 'lifetime of the token, at most 1h', parseDurationOption, '5m');
  addPassphraseOptions(token)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./token.ts')).token));
}

function addCerts(program: Command): void {
  command(program, 'certs', 'list certificates, newest first')
    .addOption(new Option('--type <type>', 'only these').choices(['host', 'user']))
    .option('--principal <name>', 'only those for this host name or login name')
    .option('--user <id>', 'only those of this user, by the ID that the list shows')
    .option('--key <fingerprint>', 'only those of this key')
    .option('--valid', 'only those valid now')
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./certs.ts')).certs));
}

function addShow(program: Command): void {
  command(program, 'show', 'show one certificate')
    .argument('<serial>', 'its serial', parseSerial)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./certs.ts')).show));
}

function addHosts(program: Command): void {
  const hosts = command(program, 'hosts', 'list enrolled hosts')
    .option('--name <name>', 'only this one')
    .option('--all', 'also those that were cleared')
    .option('--limit <number>', 'at most so many', parseLimit, 1000)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./hosts.ts')).hosts));
  hosts
    .command('clear')
    .description('let a name enrol anew, with any key')
    .argument('<name>', 'a name of the host')
    .action(running(async () => (await import('./hosts.ts')).clearHost));
}

function addGrant(program: Command): void {
  const grant = command(program, 'grant', 'allow expired certificates to renew, for a time and a number of uses')
    .option('--host <name>', 'those of this host')
    .option('--user <id>', 'those of this user, by the ID that certs shows')
    .option('--serial <number>', 'this one', parseSerial)
    .option('--lineage <name>', 'the chain of certificates that a refusal names')
    .option('--for <duration>', 'how long the grant is open, e.g. 24h', parseDurationOption, '24h')
    .option('--uses <number>', 'how many renewals; default: 1, and for a host 1 for each of its keys', parseLimit)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./grant.ts')).grant));
  grant
    .command('list')
    .description('list grants that can be used, newest first')
    .option('--all', 'also those that are over')
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .action(running(async () => (await import('./grant.ts')).listGrants));
  grant
    .command('end')
    .description('take a grant back')
    .argument('<id>', 'its number', parseSerial)
    .action(running(async () => (await import('./grant.ts')).endGrant));
}

function addRevoke(program: Command): void {
  command(program, 'revoke', 'take certificates or a key out of use for good; nothing revives them')
    .option('--serial <number>', 'one certificate; of a host also what renews it', parseSerial)
    .option('--key <file|fingerprint>', 'a key, whatever certificates it has or asks for')
    .option('--host <name>', 'all certificates of a host that are valid')
    .option('--user <id>', 'all certificates with this key ID that are valid')
    .option('--reason <text>', 'why, for the record', '')
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./revoke.ts')).revoke));
}

function addLineages(program: Command): void {
  command(program, 'lineages', 'list the chains of certificates that renewals made, newest first')
    .option('--quarantined', 'only those with two holders of one key')
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./lineage.ts')).lineages));
}

function addLineage(program: Command): void {
  const lineage = command(program, 'lineage', 'show a chain of certificates: what was issued, and who was seen with it')
    .argument('<lineage>', 'its name')
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./lineage.ts')).lineage));
  lineage
    .command('resolve')
    .description('end a quarantine')
    .argument('<lineage>', 'its name')
    .option('--keep <serial>', 'this certificate goes on, the other side is revoked', parseSerial)
    .option('--revoke', 'none goes on')
    .action(running(async () => (await import('./lineage.ts')).resolveLineage));
}

function addKrl(program: Command): void {
  command(program, 'krl', 'tell what the KRL holds, or write it')
    .option('-o, --output <file>', 'write it there')
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./krl.ts')).krl));
}

function addRotate(program: Command): void {
  const rotate = command(program, 'rotate', 'walk to another SSH CA key: start, status, switch, retire; or withdraw');
  const step = (name: string, description: string): Command =>
    rotate
      .command(name)
      .description(description)
      .option(...JSON_OPTION);
  const ofType = (one: Command): Command =>
    one.addOption(new Option('--type <type>', 'of which certificates').choices(['host', 'user']).makeOptionMandatory());
  const start = ofType(step('start', 'make or name the next key and publish it; nothing is signed with it yet'));
  addPassphraseOptions(
    start.addOption(new Option('--key-type <type>', 'of a next key in a file').choices(caKeyTypes).default('ed25519')),
  )
    .option('--object <id>', 'the next key, made in the YubiHSM: 0x0104', parseObjectId)
    .option('--template <id>', 'of the YubiHSM, under which it signs', parseObjectId)
    .option('--label <label>', 'the next key, made in the PKCS#11 token')
    .option('--id <hex>', 'the same by its CKA_ID', parseKeyIdentifier)
    .action(running(async () => (await import('./rotate.ts')).startRotation));
  step('status', 'list the CA keys, and what is waited for').action(
    running(async () => (await import('./rotate.ts')).rotationStatus),
  );
  ofType(step('switch', 'sign with the next key, once every live host reported that it trusts it'))
    .option('--wait', 'until they have')
    .option('--force', 'although some have not')
    .action(running(async () => (await import('./rotate.ts')).switchKeys));
  ofType(step('retire', 'trust the old key no more, once nothing valid is signed by it'))
    .option('--wait', 'until nothing is')
    .option('--force', 'although something is')
    .action(running(async () => (await import('./rotate.ts')).retireKeys));
  ofType(step('withdraw', 'take start back; nothing was signed with that key')).action(
    running(async () => (await import('./rotate.ts')).withdrawKey),
  );
}

function addAudit(program: Command): void {
  command(program, 'audit', 'list decisions, newest first; or verify that none was changed or removed')
    .option('--verify', "walk the whole chain, and hold the logs of HSMs against the CA's certificates")
    .option('--expect <hash>', 'also demand that this head of an earlier --verify is in it')
    .option('--acknowledge <number>', 'note that what --verify says of this entry of an HSM is explained', parseSerial)
    .option('--reason <text>', 'the explanation, for the record')
    .option('--action <word>', 'only these, e.g. certificate-issue, host-challenge')
    .option('--name <name>', 'only those about this host or user')
    .option('--refused', 'only refusals')
    .option('--limit <number>', 'at most so many', parseLimit, 50)
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./audit.ts')).audit));
}

function addCheckConfig(program: Command): void {
  command(program, 'check-config', 'tell everything that is wrong with ca.toml').action(
    running(async () => (await import('./check-config.ts')).checkConfig),
  );
}

function addBackup(program: Command): void {
  command(program, 'backup', 'copy the whole CA into one file, also while it serves. Never overwrites.')
    .argument('<file>', 'the file to make, a tar archive')
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./backup.ts')).backup));
}

function addRestore(program: Command): void {
  command(program, 'restore', 'make a CA directory out of a backup. Never overwrites.')
    .argument('<file>', 'what backup made')
    .option(...JSON_OPTION)
    .action(running(async () => (await import('./backup.ts')).restore));
}
