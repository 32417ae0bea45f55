/**
 * A real, certified OpenID provider (`oidc-provider`) over TLS on a free port of this machine, with accounts that a test names. Whoever types
 * an account's name at its login page is signed in: its pages are those of `interaction-pages.ts`, everything behind them is the real thing.
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type Server, createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK } from 'jose';
import { type ClientMetadata, type Configuration, Provider } from 'oidc-provider';
import {
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
} from '#ca-lite/x509/certificate-authority.ts';
import { interactionPages, interactionUrl } from './interaction-pages.ts';

export interface Account {
  /** Claims besides `sub`, which is the account's name. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Any does, when none is named. */
  readonly password?: string;
}

export interface OpenidProviderOptions {
  readonly accounts: Readonly<Record<string, Account>>;
  readonly clients: readonly ClientMetadata[];
  readonly configuration?: Configuration;
}

export interface OpenidProvider extends AsyncDisposable {
  readonly issuer: string;
  /** PEM of the root that its TLS certificate comes from. */
  readonly root: string;
  readonly provider: Provider;
  /** It answers nobody until the result is disposed. */
  goAway(): Disposable;
}

export async function startOpenidProvider({
  accounts,
  clients,
  configuration = {},
}: OpenidProviderOptions): Promise<OpenidProvider> {
  const now = new Date();
  const root = await createRoot('Test IdP', await generateX509Key(), now);
  const intermediate = await createIntermediate('Test IdP', root, await generateX509Key(), now);
  const { certificatePem, privateKey } = await createServerCertificate(
    ['localhost'],
    intermediate,
    await generateX509Key(),
    now,
  );
  const server = createServer({
    cert: `${certificatePem}\n${intermediate.certificatePem}`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, await configurationOf(accounts, clients, configuration));
  const handle = provider.callback();
  const answered = interactionPages(provider, accounts);
  let absences = 0;
  server.on('request', (request, response) => {
    if (absences > 0) request.socket.destroy();
    else if (!answered(request, response)) void handle(request, response);
  });
  const goAway = (): Disposable => {
    absences++;
    return { [Symbol.dispose]: () => void absences-- };
  };
  return { issuer, root: root.certificatePem, provider, goAway, [Symbol.asyncDispose]: async () => stop(server) };
}

async function configurationOf(
  accounts: OpenidProviderOptions['accounts'],
  clients: readonly ClientMetadata[],
  extra: Configuration,
): Promise<Configuration> {
  return {
    clients: [...clients],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'email', 'groups'],
    conformIdTokenClaims: false, // claims in the ID token, as most providers of companies do
    jwks: { keys: [await signingKey('rsa-1')] },
    cookies: { keys: ['a key for the cookies of a test'] },
    pkce: { required: () => true },
    findAccount: (_context, id) => {
      const account = accounts[id];
      if (account === undefined) return undefined;
      return { accountId: id, claims: () => ({ sub: id, ...account.claims }) };
    },
    interactions: { url: interactionUrl },
    ...extra,
    features: { ...extra.features, devInteractions: { enabled: false } },
  };
}

/** A private JWK for the provider's key set. */
export async function signingKey(kid: string): Promise<Record<string, unknown>> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
