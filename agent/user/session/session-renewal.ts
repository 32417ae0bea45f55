/**
 * Renews the certificate of a session without the person: by the refresh token, else by the key (POST /ssh/renew). A refresh token that the
 * provider replaced is kept safe before anything else is done: the old one is worth nothing from then on. Does I/O.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '#openssh/certificate.ts';
import { ProvisionersReply } from '#protocol/step-api.ts';
import { openCaClient, type CaClient } from '../../ca/ca-client.ts';
import { CaError } from '../../ca/ca-error.ts';
import { systemErrorReason } from '../../failure.ts';
import { currentAuthority } from '../../ca/current-authority.ts';
import type { Authority } from '../../state/authority.ts';
import { StateError } from '../../state/state-error.ts';
import { LoginError } from '../login/login-error.ts';
import { type ProviderTokens, keepRefreshToken } from '../login/provider-tokens.ts';
import { type Provisioner, chooseProvisioner } from '../login/provisioner.ts';
import { refreshTokens, revokeRefreshToken } from '../login/refresh.ts';
import { certify } from '../login/sign-in.ts';
import { renewByKey } from './key-renewal.ts';
import type { Session, SessionPlace } from './session.ts';
import { renewalWays } from './session-plan.ts';

/** A token says its time in seconds: two of one second may be the same token, which the CA takes once. */
const NEXT_SECOND_MS = 1100;

export interface Renewing {
  /** Told of each change to the session as soon as it is there; resolves when it is kept as safely as it will be. */
  readonly keep: (change: (session: Session) => Session) => Promise<void>;
  readonly signal: AbortSignal;
}

/** @throws CaError, LoginError, StateError, the reason of `signal` */
export async function renewSession(session: Session, { keep, signal }: Renewing): Promise<Certificate> {
  const { place } = session;
  const authority = await authorityOf(session);
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal });
  const provisioner = await fetchProvisioner(client, session.provisionerName);
  const known: Session = { ...session, provisioner };
  await keep((current) => ({ ...current, provisioner }));
  const [way, other] = renewalWays(known, Date.now());
  if (way === undefined) throw nothingToRenewWith();
  if (way === 'proof-of-possession') return await renewByKey(known, authority, client);
  try {
    const byTokens = async (tokens: ProviderTokens) => certify({ client, authority, key: session.key, tokens });
    const tokens = await refresh(known, provisioner, place, { keep, signal });
    return await byTokens(tokens).catch(async (error: unknown) => {
      if (!(error instanceof CaError) || error.refusal?.code !== 'token-used') throw error;
      await sleep(NEXT_SECOND_MS, undefined, { signal });
      return byTokens(
        await refresh({ ...known, ...keepRefreshToken(tokens.refreshToken) }, provisioner, place, { keep, signal }),
      );
    });
  } catch (error) {
    const isOver = error instanceof LoginError && ['session-ended', 'refresh-unusable'].includes(error.code);
    if (!isOver) throw error;
    await keep(
      error.code === 'session-ended' ? withoutRefreshToken : (current) => ({ ...current, refreshUnusable: true }),
    );
    if (other === undefined) throw error;
    return await renewByKey(known, authority, client);
  }
}

async function refresh(
  session: Session,
  provisioner: Provisioner,
  place: SessionPlace,
  { keep, signal }: Renewing,
): Promise<ProviderTokens> {
  const { refreshToken = '', key } = session;
  const visit = { provisioner, signal, providerCa: await readProviderCa(place) };
  const tokens = await refreshTokens(refreshToken, key.nonce, visit);
  const next = tokens.refreshToken;
  if (next !== undefined && next !== refreshToken) await keep((current) => ({ ...current, refreshToken: next }));
  const usable = tokens.idToken !== '' && (tokens.isBound || provisioner.client.nonceBinding === 'optional');
  if (usable) return tokens;
  throw new LoginError('refresh-unusable', 'the identity provider refreshes without binding the answer to your key', {
    advice:
      'Sign in again: countersign login. The administrator of the CA can let certificates renew by their key: see `renewal` in docs/oidc.md.',
  });
}

function withoutRefreshToken(session: Session): Session {
  const { refreshToken: ended, ...rest } = session;
  return ended === undefined ? session : rest;
}

/** @returns what became of the token @throws CaError, LoginError, StateError, the reason of `signal` */
export async function endAtProvider(
  session: Session,
  signal: AbortSignal,
): Promise<'revoked' | 'not-offered' | 'no-token'> {
  if (session.refreshToken === undefined) return 'no-token';
  const provisioner = session.provisioner ?? (await askForProvisioner(session, signal));
  const providerCa = await readProviderCa(session.place);
  const isRevoked = await revokeRefreshToken(session.refreshToken, { provisioner, providerCa, signal });
  return isRevoked ? 'revoked' : 'not-offered';
}

async function askForProvisioner(session: Session, signal: AbortSignal): Promise<Provisioner> {
  const authority = await authorityOf(session);
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal });
  return await fetchProvisioner(client, session.provisionerName);
}

/** A refresh token is not taken to another CA that the same directory names by now. */
async function authorityOf({ place, caUrl }: Session): Promise<Authority> {
  const authority = await currentAuthority(place.stateDirectory);
  if (authority.url === caUrl) return authority;
  throw new LoginError('session-ended', `another CA is trusted now than the one of this sign-in, ${caUrl}`, {
    advice: 'Sign in again: countersign login',
  });
}

async function fetchProvisioner(client: CaClient, name: string): Promise<Provisioner> {
  const { provisioners } = await client.get('/provisioners', ProvisionersReply, new URLSearchParams({ limit: '100' }));
  return chooseProvisioner(provisioners, name);
}

/** @returns PEM; undefined where no file was named @throws StateError */
export async function readProviderCa({ providerCa }: SessionPlace): Promise<string | undefined> {
  if (providerCa === undefined) return undefined;
  try {
    return await readFile(providerCa, 'utf8');
  } catch (cause) {
    throw new StateError('state-unusable', `${providerCa} cannot be read: ${systemErrorReason(cause)}`, { cause });
  }
}

function nothingToRenewWith(): LoginError {
  return new LoginError('session-ended', 'there is nothing to renew this sign-in with', {
    advice:
      'The identity provider gave no refresh token (scope offline_access), and the CA does not renew by the key. Sign in again: countersign login',
  });
}
