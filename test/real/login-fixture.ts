/** A CA with a real OpenID provider, a state directory that trusts it, and `countersign login` with a scripted browser. */
import { X509Certificate, hash } from 'node:crypto';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { writeBrowserScript } from '#test/simulator/openid-provider/browser-script.ts';
import { deviceFlow } from '#test/simulator/openid-provider/interaction-pages.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { runAgent } from './host-agent-fixture.ts';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

export interface LoginStage extends AsyncDisposable {
  readonly directory: string;
  readonly idp: OpenidProvider;
  readonly ca: RunningCa;
  /** `--state-dir` and `--provider-ca`. */
  readonly places: readonly string[];
  readonly stateDirectory: readonly string[];
  /** A program for `--browser` that signs in as this account. */
  browserOf(login: string): Promise<string>;
  /** `countersign login`, started. */
  startLogin(args: readonly string[], env?: Readonly<Record<string, string>>): LabProcess;
}

export interface LoginStageOptions {
  /** More lines for the [[oidc]] section. */
  readonly oidc?: string;
  /** Whether the provider puts the nonce into ID tokens of the device flow; the standards leave that open. Default: true. */
  readonly echoesDeviceNonce?: boolean;
  /** Of certificates. Default: 1h. */
  readonly lifetime?: string;
  /** Whether the provider gives refresh tokens, and takes them back. */
  readonly refreshTokens?: boolean;
}

export async function openLoginStage({
  oidc = '',
  echoesDeviceNonce = true,
  lifetime = '1h',
  refreshTokens = false,
}: LoginStageOptions = {}): Promise<LoginStage> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'countersign-login-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const idp = stack.use(await startIdp(refreshTokens));
  if (echoesDeviceNonce) echoDeviceNonce(idp);
  const made = await makeCa({
    within: directory,
    quick: true,
    initOptions: ['--allow-user', 'alice', '--allow-user', 'root'],
  });
  await appendFile(join(made.directory, 'ca.toml'), oidcSection(idp, { lifetime, refreshTokens, more: oidc }));
  const ca = stack.use(await made.serve());
  const rootFile = join(directory, 'idp-root.pem');
  await writeFile(rootFile, idp.root);
  const stateDirectory = ['--state-dir', join(directory, 'state')];
  const fingerprint = hash('sha256', new X509Certificate(await made.rootPem()).raw, 'hex');
  const { status, stderr } = await runAgent([
    'bootstrap',
    '--ca',
    ca.url,
    '--fingerprint',
    fingerprint,
    ...stateDirectory,
  ]);
  if (status !== 0) throw new Error(stderr);
  const places = [...stateDirectory, '--provider-ca', rootFile];
  const owned = stack.move();
  return {
    directory,
    idp,
    ca,
    places,
    stateDirectory,
    browserOf: async (login) => writeBrowser(directory, rootFile, login),
    startLogin: (args, env = {}) =>
      startProcess([...agentProgram(), 'login', ...places, ...args], {
        env: { BROWSER: '', DISPLAY: '', WAYLAND_DISPLAY: '', ...env },
      }),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function startIdp(refreshTokens: boolean): Promise<OpenidProvider> {
  const groups = ['ssh'];
  return startOpenidProvider({
    accounts: {
      alice: { claims: { email: 'alice@example.com', email_verified: true, groups } },
      mallory: { claims: { email: 'mallory@example.com', email_verified: false, groups } },
    },
    clients: [
      {
        client_id: 'countersign',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/back'],
        grant_types: ['authorization_code', deviceGrant, ...(refreshTokens ? ['refresh_token'] : [])],
        response_types: ['code'],
      },
    ],
    configuration: {
      features: {
        deviceFlow,
        pushedAuthorizationRequests: { enabled: true },
        revocation: { enabled: refreshTokens },
        introspection: { enabled: refreshTokens },
      },
    },
  });
}

/** As providers do that treat a device authorization like any other. */
function echoDeviceNonce({ provider }: OpenidProvider): void {
  provider.on('device_authorization.success', ({ oidc }: KoaContextWithOIDC) => {
    const code: { nonce?: unknown; save(): Promise<string> } | undefined = oidc.entities.DeviceCode;
    if (code === undefined) return;
    code.nonce = oidc.params?.['nonce'];
    void code.save();
  });
}

interface SectionOptions {
  readonly lifetime: string;
  readonly refreshTokens: boolean;
  readonly more: string;
}

function oidcSection({ issuer, root }: OpenidProvider, { lifetime, refreshTokens, more }: SectionOptions): string {
  const scopes = ['openid', 'email', 'groups', ...(refreshTokens ? ['offline_access'] : [])];
  // providers give lasting access only to whom the person said yes, each time (OpenID Connect Core 1.0 section 11)
  const consent = refreshTokens ? 'authorization_parameters = { prompt = "consent" }' : '';
  return `
[[oidc]]
name = "corp"
issuer = "${issuer}"
client_id = "countersign"
ca_certificates = """
${root}"""
domains = ["example.com"]
groups = ["ssh"]
scopes = ${JSON.stringify(scopes)}
${consent}
lifetime = "${lifetime}"
redirect_uris = ["http://127.0.0.1:0/back"]
device_flow = true
principals = [{ from = "email-local-part" }, { from = "group", group = "ssh", principals = ["root"] }]
${more}
`;
}

async function writeBrowser(directory: string, rootFile: string, login: string): Promise<string> {
  const path = join(directory, `browser-${login}`);
  await writeBrowserScript(path, login, rootFile);
  return path;
}
