/**
 * From a CA that can sign to a login, all of it real: a host enrols by proving its key, a person signs in at an OpenID provider, and ssh gets
 * in with both certificates and nothing else. For CAs whose keys are in devices.
 */
import { randomUUID } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { execa } from 'execa';
import { Agent, request } from 'undici';
import { decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { decodePublicKey, formatPublicKeyLine, splitKeyLine } from '#openssh/public-key.ts';
import { writeBrowserScript } from '#test/simulator/openid-provider/browser-script.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { CA_NAME, type CaOptions, makeCa, type RunningCa, type TestCa } from '#test/support/ca.ts';
import { type Lab, openLab } from '#test/support/lab.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { agentProgram, caProgram, type Program } from '#test/support/programs.ts';
import { startSshd } from '#test/support/sshd.ts';
import { startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';

const account = { claims: { email: 'alice@example.com', email_verified: true, groups: ['ssh'] } };
const client = {
  client_id: 'countersign',
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/back'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
} as const;

/** What the CAs of one test file share: a laboratory and a provider. */
export interface LoginScene extends AsyncDisposable {
  readonly lab: Lab;
  /** A CA in a directory of its own that enrols hosts of the laboratory and takes sign-ins; its keys are still in files. */
  makeCa(program?: Program): Promise<TestCa>;
  /** Enrols a new host, signs in and logs in. Throws when any of that fails. */
  logIn(ca: RunningCa): Promise<LoggedIn>;
}

export interface LoggedIn {
  readonly host: Certificate;
  readonly user: Certificate;
  /** What the command printed that ssh ran. */
  readonly stdout: string;
}

export async function openLoginScene(): Promise<LoginScene> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab('loopback'));
  const clients = [
    {
      ...client,
      redirect_uris: [...client.redirect_uris],
      grant_types: [...client.grant_types],
      response_types: ['code' as const],
    },
  ];
  const idp = stack.use(await startOpenidProvider({ accounts: { alice: account }, clients }));
  await writeFile(join(lab.directory, 'idp.pem'), idp.root);
  const owned = stack.move();
  return {
    lab,
    makeCa: async (program) => newCa(lab, idp, program),
    logIn: async (ca) => logIn(lab, ca),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function newCa(lab: Lab, idp: OpenidProvider, program: Program = caProgram()): Promise<TestCa> {
  const within = join(lab.directory, `ca-${randomUUID()}`);
  const allow = ['--allow-name', '**.lab.example', '--allow-address', lab.network, '--allow-user', 'alice'];
  const options: CaOptions = { within, program, quick: true, settings: [lab.caSettings], initOptions: allow };
  const made = await makeCa(options);
  await appendFile(
    join(made.directory, 'ca.toml'),
    `
[[oidc]]
name = "corp"
issuer = "${idp.issuer}"
client_id = "countersign"
ca_certificates = """
${idp.root}"""
domains = ["example.com"]
scopes = ["openid", "email", "groups"]
lifetime = "1h"
redirect_uris = ["http://127.0.0.1:0/back"]
principals = [{ from = "email-local-part" }]
`,
  );
  return made;
}

async function logIn(lab: Lab, ca: RunningCa): Promise<LoggedIn> {
  const own = join(lab.directory, randomUUID());
  const state = ['--state-dir', own];
  await succeed(['bootstrap', '--ca', ca.url, '--fingerprint', await ca.ca.rootFingerprint(), ...state]);
  const label = `web${randomUUID().slice(0, 8)}`;
  const { addresses } = await lab.addMachine(label);
  const name = `${label}.lab.example`;
  const principals = join(lab.directory, `${label}-principals`);
  await writeFile(principals, 'alice\n');
  const config = [
    'AuthorizedKeysFile none',
    `AuthorizedPrincipalsFile ${principals}`,
    'PermitRootLogin prohibit-password',
    'StrictModes no',
  ];
  await using sshd = await startSshd({ addresses, port: lab.sshPort, config });
  await lab.setZone({ [name]: addresses });
  await succeed(['host', 'enroll', '--name', name, '--ip', sshd.address, '--sshd-config', sshd.configPath, ...state]);
  const host = await readCertificate(`${sshd.hostKeys[0]?.path}-cert.pub`);

  await using agent = await startTestAgent();
  const browser = join(lab.directory, `browser-${label}`);
  await writeBrowserScript(browser, 'alice', join(lab.directory, 'idp.pem'));
  const words = ['login', ...state, '--provider-ca', join(lab.directory, 'idp.pem'), '--browser', browser];
  await using login = startProcess([...agentProgram(), ...words], {
    env: { BROWSER: '', DISPLAY: '', WAYLAND_DISPLAY: '', ...agent.env },
  });
  const { code } = await login.ended;
  if (code !== 0) throw new Error(`login: ${login.stderr()}`);
  const listed = (await execa('ssh-add', ['-L'], { env: agent.env })).stdout;
  const user = decodeCertificate(splitKeyLine(listed.split('\n')[0] ?? '').blob);

  const known = join(lab.directory, `${label}-known_hosts`);
  await writeFile(known, `@cert-authority ${name} ${await hostCaLine(ca)}\n`);
  const options = ['-F', 'none', '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${known}`];
  const alias = ['-o', 'GlobalKnownHostsFile=/dev/null', '-o', `HostKeyAlias=${name}`];
  const target = ['-p', String(sshd.port), `${userInfo().username}@${sshd.address}`];
  const { stdout } = await execa('ssh', [...options, ...alias, ...target, 'echo', 'inside'], { env: agent.env });
  return { host, user, stdout };
}

async function succeed(words: readonly string[]): Promise<void> {
  const { status, stderr } = await runAgent(words);
  if (status !== 0) throw new Error(`countersign ${words.slice(0, 2).join(' ')}: ${stderr}`);
}

async function readCertificate(path: string): Promise<Certificate> {
  return decodeCertificate(splitKeyLine((await readFile(path, 'utf8')).trim()).blob);
}

/** What the CA tells everybody. */
async function hostCaLine(ca: RunningCa): Promise<string> {
  const http = new Agent({ connect: { ca: await ca.ca.rootPem(), servername: CA_NAME } });
  try {
    const { body } = await request(`${ca.url}/ssh/roots`, { dispatcher: http });
    const { hostKey } = (await body.json()) as { hostKey: string[] };
    const [blob = ''] = hostKey;
    return formatPublicKeyLine(decodePublicKey(decodeBase64(blob)));
  } finally {
    await http.destroy();
  }
}
