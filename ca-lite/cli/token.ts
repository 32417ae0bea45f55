/** `countersign-ca token`: an administrator's one-time token for a host or a user certificate. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { encodeBase64Url } from '#openssh/base64.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import { parseDuration } from '../config/duration.ts';
import { type CaLayout, caLayout } from '../directory/layout.ts';
import { authorityOf, openConfig, storePath } from '../directory/open-config.ts';
import { readSecret } from '../directory/secrets.ts';
import { findPrincipalFault } from '../policy/principal-policy.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { ADMIN_PROVISIONER, makeClaims } from '../token/one-time-token.ts';
import { loadTokenKey } from '../token/token-key.ts';
import { x509Fingerprint } from '../x509/certificate-authority.ts';
import { fromEpoch, nowInSeconds } from './epoch.ts';
import { readKeyFingerprint } from './key-option.ts';
import { printJson } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

export interface TokenOptions extends PassphraseOptions {
  readonly dir: string;
  readonly host?: string;
  readonly user?: string;
  readonly principal: readonly string[];
  readonly notAfter?: string;
  readonly key?: string;
  readonly for: string;
  readonly json?: boolean;
}

export async function token(options: TokenOptions): Promise<void> {
  const { host, user } = options;
  const keyId = host ?? user;
  if (keyId === undefined || (host !== undefined && user !== undefined))
    throw new CommandError('Say who the token is for: --host NAME or --user NAME.');
  const type = host === undefined ? 'user' : 'host';
  const layout = caLayout(options.dir);
  const config = await openConfig(layout);
  const principals = options.principal.length === 0 ? [keyId] : [...options.principal];
  refusePrincipals(type, principals, config);
  const key = options.key === undefined ? undefined : await readKeyFingerprint(options.key);
  const validBefore = goDuration(options.notAfter);
  const tokenId = encodeBase64Url(randomBytes(24));
  const grant = {
    provisioner: ADMIN_PROVISIONER,
    type,
    keyId,
    principals,
    validBefore,
    ...(key === undefined ? {} : { key }),
  } as const;
  const claims = makeClaims(grant, {
    authority: authorityOf(config, config.listen.port),
    rootFingerprint: x509Fingerprint(await readFile(layout.rootCertificate, 'utf8')),
    now: nowInSeconds(),
    lifetimeSeconds: lifetimeOf(options.for),
    tokenId,
  });
  const tokenKey = await loadTokenKey(await readSecret(layout, 'token', await readPassphrase(options)));
  const signed = await tokenKey.sign(claims);
  await record(
    layout,
    config,
    { type, keyId, principals, ...(key === undefined ? {} : { key }) },
    { id: tokenId, expiresAt: BigInt(claims.exp) },
  );
  if (options.json === true)
    return printJson({ token: signed, type, principals, expiresAt: fromEpoch(BigInt(claims.exp)) });
  process.stdout.write(`${signed}\n`);
}

/** On record before it is shown: a token that this CA does not know is refused, whoever signed it. */
async function record(
  layout: CaLayout,
  config: Config,
  { type, keyId, principals, key }: { type: 'host' | 'user'; keyId: string; principals: string[]; key?: Fingerprint },
  single: { readonly id: string; readonly expiresAt: bigint },
): Promise<void> {
  await using store = await openSqliteStore({ path: storePath(layout, config), role: 'administrator' });
  const subject = {
    type,
    name: keyId,
    provisioner: ADMIN_PROVISIONER,
    actor: userInfo().username,
    keyFingerprint: key ?? null,
  };
  const decision = await store.recordToken({
    token: single,
    audit: { time: nowInSeconds(), action: 'token-make', subject, details: { principals } },
  });
  if (!decision.accepted)
    throw new CommandError(
      `The token was not recorded (${decision.refusal}). Check the clock of this machine and try again.`,
    );
}

function refusePrincipals(type: 'host' | 'user', principals: readonly string[], config: Config): void {
  const fault = findPrincipalFault(type, principals, config);
  if (fault === undefined) return;
  const where = type === 'host' ? 'enrolment.names or certificates.host_principals' : 'certificates.user_principals';
  throw new CommandError(
    `The policy does not allow the principal ${JSON.stringify(fault)}. Add it to ${where} in ca.toml, then restart the CA.`,
  );
}

/** `12h` as ca.toml writes it, in the form that goes into a token (Go durations have no days). */
function goDuration(text: string | undefined): string {
  return text === undefined ? '' : `${parseDuration(text) ?? 0}s`;
}

function lifetimeOf(text: string): number {
  const seconds = parseDuration(text) ?? 0;
  if (seconds > 3600) throw new CommandError('A token works for an hour at most (--for). Make it when it is needed.');
  return seconds;
}
