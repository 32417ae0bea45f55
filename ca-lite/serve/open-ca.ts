/** Opens everything that serving needs: configuration, keys, store, resolver. What was opened is closed again when a later step fails. */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { CertificateType } from '#openssh/certificate.ts';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import type { CaLayout } from '../directory/layout.ts';
import { authorityOf, storePath } from '../directory/open-config.ts';
import { readSecret } from '../directory/secrets.ts';
import type { CaContext } from '../http/context.ts';
import { KrlPublisher } from '../revocation/krl-publisher.ts';
import { currentKey } from '../rotation/ca-keys.ts';
import { openHandover } from '../rotation/handover.ts';
import { type KeyPlace, firstPlace, parseKeyPlace } from '../rotation/key-place.ts';
import { LiveKeys } from '../rotation/live-keys.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { loadTokenKey } from '../token/token-key.ts';
import { x509Fingerprint } from '../x509/certificate-authority.ts';
import { deviceLogSink } from './device-log.ts';
import { type OpenKey, openSigners } from './open-signers.ts';
import { recordedSigner } from './recorded-signer.ts';
import { type ServerTls, openServerTls } from './server-tls.ts';
import { SettingsMaker } from './settings.ts';

export interface OpenCa extends AsyncDisposable {
  /** As it is at the start. */
  readonly context: CaContext;
  /** Makes what follows another configuration. */
  readonly settings: SettingsMaker;
  readonly tls: ServerTls;
  /** To be refreshed when the record of CA keys may have changed. */
  readonly keys: LiveKeys;
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
  const tokenSecret = await readSecret(layout, 'token', passphrase);
  const keys = await openKeys({ layout, config, passphrase, log, now }, store, tokenSecret, stack);
  const settings = stack.use(new SettingsMaker());
  const context: CaContext = {
    ...settings.make(config),
    store,
    signers: keys.signers,
    tokenKey: await loadTokenKey(tokenSecret),
    challengeKeys: keys.challengeKeys,
    hostCas: keys.hostCas,
    trust: keys.trust,
    statements: keys.statements,
    krl: stack.use(new KrlPublisher(store, storePath(layout, config))),
    rootPem,
    rootFingerprint: x509Fingerprint(rootPem),
    authority: authorityOf(config, config.listen.port),
    now,
    log,
  };
  const opened = stack.move();
  return { context, settings, tls, keys, [Symbol.asyncDispose]: async () => opened.disposeAsync() };
}

/** Those that sign now, ready; those that a rotation brings later are opened when it does. */
async function openKeys(
  { layout, config, passphrase, log, now }: OpenOptions,
  store: Store,
  tokenSecret: KeyObject,
  stack: AsyncDisposableStack,
): Promise<LiveKeys> {
  const { signer: settings } = config;
  const first = { host: firstPlace(settings, 'host'), user: firstPlace(settings, 'user') };
  const { keys } = await store.caKeys();
  const placeOf = (type: CertificateType): KeyPlace =>
    parseKeyPlace(currentKey(keys, type)?.secret ?? '') ?? first[type];
  const places = { host: placeOf('host'), user: placeOf('user') };
  const sink = deviceLogSink(store, now);
  const handover = openHandover(layout, tokenSecret);
  const openKey = await openSigners({ layout, settings, passphrase, handover, places, sink, now, log }, stack);
  const open: OpenKey = async (place) => recordedSigner(await openKey(place), store, now);
  return LiveKeys.open({ store, open, first, log });
}
