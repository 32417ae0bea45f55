/** `countersign-ca init` */
import { parseListenAddress } from '../config/listen-address.ts';
import { CommandError } from '../command-error.ts';
import { authorityOf } from '../directory/open-config.ts';
import type { CaKeyType } from '../init/ca-key-type.ts';
import { createCa } from '../init/create-ca.ts';
import { printFacts, printJson } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

export interface InitOptions extends PassphraseOptions {
  readonly dir: string;
  readonly name: string;
  readonly dns: readonly string[];
  readonly address: string;
  readonly keyType: CaKeyType;
  readonly root?: string;
  readonly key?: string;
  readonly sshHostKey?: string;
  readonly sshUserKey?: string;
  readonly allowName: readonly string[];
  readonly allowAddress: readonly string[];
  readonly allowUser: readonly string[];
  readonly json?: boolean;
}

export async function init(options: InitOptions): Promise<void> {
  const { root, key, sshHostKey, sshUserKey } = options;
  const listen = parseListenAddress(options.address);
  if (listen === undefined) throw new CommandError('--address must be HOST:PORT, [IPV6]:PORT or :PORT.');
  if ((root === undefined) !== (key === undefined))
    throw new CommandError('--root and --key belong together: a root certificate and its private key.');
  if (/^[#\s]|\p{C}/u.test(options.name))
    throw new CommandError('--name must be a plain text that does not start with # or white space.');
  const created = await createCa({
    directory: options.dir,
    passphrase: await readPassphrase(options, { confirm: true }),
    name: options.name,
    dnsNames: options.dns.map((name) => name.toLowerCase()),
    address: options.address,
    keyType: options.keyType,
    ...(sshHostKey === undefined ? {} : { hostKeyFile: sshHostKey }),
    ...(sshUserKey === undefined ? {} : { userKeyFile: sshUserKey }),
    ...(root === undefined || key === undefined ? {} : { root: { certificateFile: root, keyFile: key } }),
    enrolNames: options.allowName,
    enrolAddresses: options.allowAddress,
    userPrincipals: options.allowUser,
    progress: (step) => void (process.stderr.isTTY && options.json !== true && process.stderr.write(`${step} ...\n`)),
  });
  if (options.json === true) return printJson(created);
  printFacts([
    ['CA directory', created.directory],
    ['Root fingerprint', created.rootFingerprint],
    ['Host CA', created.hostCa],
    ['User CA', created.userCa],
  ]);
  const url = `https://${authorityOf({ dnsNames: options.dns } as Parameters<typeof authorityOf>[0], listen.port)}`;
  process.stdout.write(nextSteps(created.directory, url, created.rootFingerprint, options));
}

function nextSteps(
  directory: string,
  url: string,
  fingerprint: string,
  { allowName, allowAddress }: InitOptions,
): string {
  const shut = allowName.length === 0 || allowAddress.length === 0;
  return `
Next:
${shut ? `  1. Say in ${directory}/ca.toml which names and addresses may enrol (enrolment.names, enrolment.addresses).\n  2. ` : '  1. '}countersign-ca serve --dir ${directory}
On each host:
  countersign bootstrap --ca ${url} --fingerprint ${fingerprint}
  countersign host enroll
Move secrets/root.key to a safe place: it is needed again only to replace the intermediate.
`;
}
