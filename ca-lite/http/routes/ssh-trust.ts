/** GET /ssh/roots and POST /ssh/config: what clients and hosts need to trust this CA, shaped as step-ca does (step-wire 1.5). */
import { encodeBase64 } from '#openssh/base64.ts';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { type ConfigTemplate, SshConfigReply, SshConfigRequest, SshRootsReply } from '#protocol/step-api.ts';
import { type Refusal, refuse } from '../../refusal.ts';
import type { CaContext } from '../context.ts';
import { accepted } from '../failure.ts';
import type { CaServer } from '../typed-server.ts';

export function sshTrustRoutes(server: CaServer, { signers }: CaContext): void {
  const roots = {
    userKey: [encodeBase64(encodePublicKey(signers.user.publicKey))],
    hostKey: [encodeBase64(encodePublicKey(signers.host.publicKey))],
  };
  server.get('/ssh/roots', { schema: { response: { 200: SshRootsReply } } }, () => roots);
  const hostCa = formatPublicKeyLine(signers.host.publicKey);
  const userCa = formatPublicKeyLine(signers.user.publicKey);
  const schema = { body: SshConfigRequest, response: { 200: SshConfigReply } };
  server.post('/ssh/config', { schema }, (request) => accepted(configTemplates(request.body, hostCa, userCa)));
}

function configTemplates(
  { type = '', data }: SshConfigRequest,
  hostCa: string,
  userCa: string,
): SshConfigReply | Refusal {
  if (type === '' || type === 'user') return { userTemplates: userTemplates(hostCa) };
  if (type === 'host') return hostTemplates(userCa, data ?? {});
  return refuse('bad-request', 'type must be "user" or "host".');
}

function hostTemplates(userCa: string, data: Readonly<Record<string, string>>): SshConfigReply | Refusal {
  const { Certificate: certificate, Key: key } = data;
  if (!isFileName(certificate) || !isFileName(key)) {
    return refuse('bad-request', 'data needs Certificate and Key: file names in /etc/ssh.');
  }
  const settings = [
    'TrustedUserCAKeys /etc/ssh/ca.pub',
    `HostCertificate /etc/ssh/${certificate}`,
    `HostKey /etc/ssh/${key}`,
  ];
  return {
    hostTemplates: [
      template(
        'sshd_config.tpl',
        'snippet',
        '/etc/ssh/sshd_config',
        `Match all\n${settings.map((line) => `\t${line}\n`).join('')}`,
      ),
      template('ca.tpl', 'snippet', '/etc/ssh/ca.pub', `${userCa}\n`),
    ],
  };
}

function userTemplates(hostCa: string): ConfigTemplate[] {
  return [
    template('config.tpl', 'snippet', '~/.ssh/config', 'Host *\n\tInclude "${STEPPATH}/ssh/config"\n'),
    template(
      'step_config.tpl',
      'file',
      'ssh/config',
      'Host *\n\tUserKnownHostsFile "${STEPPATH}/ssh/known_hosts" ~/.ssh/known_hosts\n',
    ),
    template('known_hosts.tpl', 'file', 'ssh/known_hosts', `@cert-authority * ${hostCa}\n`),
  ];
}

function template(name: string, type: ConfigTemplate['type'], path: string, content: string): ConfigTemplate {
  return { name, type, path, comment: '#', content: encodeBase64(Buffer.from(content)) };
}

/** No path, no white space, no line break: the text ends up in sshd_config. */
function isFileName(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/.test(text);
}
