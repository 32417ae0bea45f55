/** `countersign-ca init` */
import { parseListenAddress } from '../config/listen-address.ts';
import { CommandError } from '../command-error.ts';
import { authorityOf } from '../directory/open-config.ts';
import type { CaKeyType } from '../init/ca-key-type.ts';
import type { Leftovers } from '../init/building-place.ts';
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
  readonly csr?: boolean;
  readonly sshHostKey?: string;
  readonly sshUserKey?: string;
  readonly allowName: readonly string[];
  readonly allowAddress: readonly string[];
  readonly allowUser: readonly string[];
  readonly json?: boolean;
}

export async function init(options: InitOptions): Promise<void> {
  const { root, key, csr = false, sshHostKey, sshUserKey } = options;
  const listen = parseListenAddress(options.address);
  if (listen === undefined) throw new CommandError('--address must be HOST:PORT, [IPV6]:PORT or :PORT.');
  if ((root === undefined) !== (key === undefined))
    throw new CommandError('--root and --key belong together: a root certificate and its private key.');
  if (csr && root !== undefined) throw new CommandError('Give --root with --key, or --csr, not both.');
  if (/^[#\s]|\p{C}/u.test(options.name))
    throw new CommandError('--name must be a plain text that does not start with # or white space.');
  const { leftovers, ...created } = await createCa({
    directory: options.dir,
    passphrase: await readPassphrase(options, { confirm: true }),
    name: options.name,
    dnsNames: options.dns.map((name) => name.toLowerCase()),
    address: options.address,
    keyType: options.keyType,
    ...(sshHostKey === undefined ? {} : { hostKeyFile: sshHostKey }),
    ...(sshUserKey === undefined ? {} : { userKeyFile: sshUserKey }),
    root: root !== undefined && key !== undefined ? { certificateFile: root, keyFile: key } : csr ? 'request' : 'own',
    enrolNames: options.allowName,
    enrolAddresses: options.allowAddress,
    userPrincipals: options.allowUser,
    progress: (step) => void (process.stderr.isTTY && options.json !== true && process.stderr.write(`${step} ...\n`)),
  });
  tell(leftovers);
  if (options.json === true) return printJson(created);
  printFacts([
    ['CA directory', created.directory],
    ['Root fingerprint', created.rootFingerprint ?? '(none yet: an intermediate has to be imported)'],
    ['Host CA', created.hostCa],
    ['User CA', created.userCa],
  ]);
  const url = `https://${authorityOf({ dnsNames: options.dns } as Parameters<typeof authorityOf>[0], listen.port)}`;
  process.stdout.write(nextSteps(created.directory, url, created.rootFingerprint, options));
}

function tell({ removed, unclear }: Leftovers): void {
  for (const path of removed) process.stderr.write(`note: ${path} was removed: an init that was killed had left it\n`);
  for (const path of unclear)
    process.stderr.write(`note: if no other init of this directory runs, remove what one left: rm -r -- '${path}'\n`);
}

function nextSteps(directory: string, url: string, rootFingerprint: string | null, options: InitOptions): string {
  const shut = options.allowName.length === 0 || options.allowAddress.length === 0;
  const steps = [
    ...(shut
      ? [`Say in ${directory}/ca.toml which names and addresses may enrol (enrolment.names, enrolment.addresses).`]
      : []),
    ...(rootFingerprint === null
      ? [
          `Have your PKI sign ${directory}/certs/intermediate_ca.csr as a CA certificate (path length 0).`,
          `countersign-ca import-intermediate --dir ${directory} --root ROOT.crt INTERMEDIATE.crt`,
        ]
      : []),
    `countersign-ca serve --dir ${directory}`,
    `On each host: countersign bootstrap --ca ${url} --fingerprint ${rootFingerprint ?? 'FINGERPRINT'}`,
    '              countersign host enroll',
  ];
  const rootKey = rootFingerprint !== null && options.root === undefined;
  const advice = rootKey
    ? '\nMove secrets/root.key to a safe place: it is needed again only to replace the intermediate.\n'
    : '';
  return `\nNext:\n${steps.map((step) => `  ${step}\n`).join('')}${advice}`;
}
