/** The demo's user: an identity provider that knows alice, an agent for her key, and a sign-in with a scripted person at the browser. */
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeBrowserScript } from '#test/simulator/openid-provider/browser-script.ts';
import { agentProgram } from '#test/support/programs.ts';
import { heading, run, say, showCommand } from './narration.ts';
import { DEMO_PRINCIPAL, type Stage, hosts, startProgram } from './stage.ts';

export interface DemoProvider {
  readonly issuer: string;
  /** PEM. */
  readonly root: string;
}

export async function startProvider(stage: Stage): Promise<DemoProvider> {
  const argv = [process.execPath, join(import.meta.dirname, 'provider.ts')] as const;
  return (await startProgram(argv, stage, (line) => line.startsWith('{"issuer"'))) as DemoProvider;
}

/** Lines for ca.toml: whom the CA takes from the provider, and as whom they may log in. */
export function oidcSection({ issuer, root }: DemoProvider): string {
  return `
[[oidc]]
name = "demo"
issuer = "${issuer}"
client_id = "countersign"
ca_certificates = """
${root}"""
domains = ["demo.internal"]
lifetime = "8h"
redirect_uris = ["http://127.0.0.1:0/"]
principals = [{ from = "email-local-part" }]
`;
}

export interface SignedInUser {
  /** For `ssh -F`. */
  readonly sshConfig: string;
}

export async function signInUser(
  stage: Stage,
  ca: { readonly url: string; readonly rootFingerprint: string },
  provider: DemoProvider,
): Promise<SignedInUser> {
  heading(`3. A laptop: ${DEMO_PRINCIPAL} signs in with the browser; the key is made for it and stays in the agent`);
  const home = join(stage.directory, 'laptop');
  await mkdir(home, { mode: 0o700 });
  const [socket, stateDirectory, sshDirectory] = [join(home, 'agent.sock'), join(home, 'state'), join(home, 'ssh')];
  const agent = { program: agentProgram(), name: 'countersign' };
  const state = ['--state-dir', stateDirectory];
  const bootstrap = ['bootstrap', '--ca', ca.url, '--fingerprint', ca.rootFingerprint];
  await run({ ...agent, args: bootstrap, hidden: state, quiet: true });
  showCommand(['countersign', 'agent']);
  await startProgram([...agentProgram(), 'agent', '-D', '-a', socket], stage, (line) =>
    line.startsWith('SSH_AUTH_SOCK='),
  );
  const places = ['--socket', socket, '--ssh-dir', sshDirectory];
  await run({ ...agent, args: ['ssh-config', 'install', '--hosts', '*.demo.internal'], hidden: [...state, ...places] });
  const [browser, rootFile] = [join(home, 'browser'), join(home, 'provider-root.pem')];
  await writeFile(rootFile, provider.root);
  await writeBrowserScript(browser, DEMO_PRINCIPAL, rootFile);
  say('  A script stands in for the person at the browser.');
  const hidden = [...state, '--socket', socket, '--browser', browser, '--provider-ca', rootFile];
  await run({ ...agent, args: ['login'], hidden });
  const sshConfig = join(sshDirectory, 'config');
  await appendFile(sshConfig, hosts.map((host) => hostBlock(host, stage.port)).join(''));
  return { sshConfig };
}

/** What stands in for DNS, and for accounts: the sshds of the demo let alice's certificate log in as whoever runs the demo. */
function hostBlock({ name, address }: (typeof hosts)[number], port: number): string {
  const settings = { HostName: address, HostKeyAlias: name, Port: String(port) };
  const lines = Object.entries(settings).map(([key, value]) => `  ${key} ${value}\n`);
  return `Host ${name}\n${lines.join('')}`;
}
