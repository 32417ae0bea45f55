/** Opens everything that serving needs: configuration, keys, store, resolver. What was opened is closed again when a later step fails. */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { parseFingerprint } from '#openssh/fingerprint.ts';
import { ownAddresses } from '../address/own-addresses.ts';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import { Dialer } from '../dial-back/dialer.ts';
import { defaultDialBackCapacity, defaultDialBackLimits } from '../dial-back/limits.ts';
import { Slots } from '../dial-back/slots.ts';
import type { CaLayout } from '../directory/layout.ts';
import { authorityOf, storePath } from '../directory/open-config.ts';
import { readSecret } from '../directory/secrets.ts';
import { NamedResolver } from '../dns/named-resolver.ts';
import { type Resolver, defaultDnsLimits } from '../dns/resolver.ts';
import { SystemResolver } from '../dns/system-resolver.ts';
import { ChallengeKeyRing } from '../enrol/challenge-key.ts';
import { HostCheck } from '../enrol/host-check.ts';
import type { CaContext } from '../http/context.ts';
import { OidcProvisioners } from '../oidc/provisioners.ts';
import { KrlPublisher } from '../revocation/krl-publisher.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { loadTokenKey } from '../token/token-key.ts';
import { Statements } from '../trust/statements.ts';
import { currentSecret, oldSecrets, trustedKeys } from '../rotation/ca-keys.ts';
import { FileSigner } from '../signer/file-signer.ts';
import { x509Fingerprint } from '../x509/certificate-authority.ts';
import { deviceLogSink } from './device-log.ts';
import { openSigners } from './open-signers.ts';
import { type ServerTls, openServerTls } from './server-tls.ts';

export interface OpenCa extends AsyncDisposable {
  readonly context: CaContext;
  readonly tls: ServerTls;
}

export interface OpenOptions {
  readonly layout: CaLayout;
  readonly config: Config;
  readonly passphrase: Uint8Array;
  readonly log: Logger;
  readonly now: () => bigint;
}

/** @throws SecretError, StoreError, CommandError */
export async function openCa({ layout, config, passphrase, log, now }: OpenOptions): Promise<OpenCa> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openSqliteStore({ path: storePath(layout, config), role: 'server' }));
  const rootPem = await readFile(layout.rootCertificate, 'utf8').catch((cause: unknown) => {
    throw new CommandError(
      `${layout.rootCertificate} cannot be read. After init --csr, run countersign-ca import-intermediate first.`,
      { cause },
    );
  });
  const intermediate = {
    certificatePem: await readFile(layout.intermediateCertificate, 'utf8'),
    privateKey: await readSecret(layout, 'intermediate', passphrase),
  };
  const serverKey = await readSecret(layout, 'server', passphrase);
  const { dnsNames } = config;
  const tls = await openServerTls({ layout, dnsNames, intermediate, serverKey }, new Date(Number(now()) * 1000));
  const sink = deviceLogSink(store, now);
  const { keys, number } = await store.caKeys();
  const secrets = { host: currentSecret(keys, 'host'), user: currentSecret(keys, 'user') };
  const signers = await openSigners({ layout, settings: config.signer, passphrase, secrets, sink, now, log }, stack);
  const olds = await Promise.all(oldSecrets(keys).map(async (name) => readSecret(layout, name, passphrase)));
  const trust = {
    number,
    hostCas: trustedKeys(keys, 'host', signers.host.publicKey),
    userCas: trustedKeys(keys, 'user', signers.user.publicKey),
  };
  const context: CaContext = {
    config,
    store,
    signers,
    oidc: stack.use(new OidcProvisioners(config.oidc)),
    tokenKey: await loadTokenKey(await readSecret(layout, 'token', passphrase)),
    challengeKeys: new ChallengeKeyRing(signers.host),
    hostCheck: new HostCheck({
      policy: config.enrolment,
      resolver: resolverOf(config),
      dialer: dialerOf(config),
      slots: checkSlots(config),
      ownAddresses,
    }),
    hostCas: new Set(trust.hostCas.map(({ fingerprint }) => parseFingerprint(fingerprint))),
    trust,
    statements: new Statements([signers.host, ...olds.map((key) => stack.use(new FileSigner(key)))]),
    krl: new KrlPublisher(store),
    rootPem,
    rootFingerprint: x509Fingerprint(rootPem),
    authority: authorityOf(config, config.listen.port),
    now,
    log,
  };
  const opened = stack.move();
  return { context, tls, [Symbol.asyncDispose]: async () => opened.disposeAsync() };
}

function resolverOf({ dns }: Config): Resolver {
  const limits = { ...defaultDnsLimits, timeoutMilliseconds: dns.timeoutSeconds * 1000 };
  return dns.servers.length === 0 ? new SystemResolver(limits) : new NamedResolver(dns.servers, limits);
}

/** As many checks for one requester as dial-backs: a check waits for both, DNS and its dial-backs. */
function checkSlots({ dialBack }: Config): Slots<'requester'> {
  const { requester, waitMilliseconds } = defaultDialBackCapacity;
  return new Slots({ requester: { ...requester, running: dialBack.concurrentPerRequester } }, waitMilliseconds);
}

function dialerOf({ dialBack }: Config): Dialer {
  const totalMilliseconds = dialBack.timeoutSeconds * 1000;
  const limits = { ...defaultDialBackLimits, totalMilliseconds };
  return new Dialer(limits, {
    ...defaultDialBackCapacity,
    total: { ...defaultDialBackCapacity.total, running: dialBack.concurrent },
    requester: { ...defaultDialBackCapacity.requester, running: dialBack.concurrentPerRequester },
    target: { ...defaultDialBackCapacity.target, running: dialBack.concurrentPerTarget },
  });
}
