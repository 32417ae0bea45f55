/** GET /ssh/roots and POST /ssh/config: what clients and hosts need to trust this CA, shaped as step-ca does (step-wire 1.5). */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { type ConfigTemplate, SshConfigReply, SshConfigRequest, SshRootsReply } from '#protocol/step-api.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';
import { type Refusal, refuse } from '../../refusal.ts';
import type { CaParts } from '../context.ts';
import { accepted } from '../failure.ts';
import type { CaServer } from '../typed-server.ts';

export function sshTrustRoutes(server: CaServer, { trust }: CaParts): void {
  // Old and next keys too, so that a rotation breaks nobody who trusts what is here (step-wire 2.3).
  server.get('/ssh/roots', { schema: { response: { 200: SshRootsReply } } }, () => ({
    userKey: trust.userCas.map(({ key }) => key),
    hostKey: trust.hostCas.map(({ key }) => key),
  }));
  const lineOf = ({ key }: TrustedCaKey): string => formatPublicKeyLine(decodePublicKey(decodeBase64(key)));
  const schema = { body: SshConfigRequest, response: { 200: SshConfigReply } };
  server.post('/ssh/config', { schema }, (request) =>
    accepted(configTemplates(request.body, trust.hostCas.map(lineOf), trust.userCas.map(lineOf))),
  );
}

function configTemplates(
  { type = '', data }: SshConfigRequest,
  hostCas: readonly string[],
  userCas: readonly string[],
): SshConfigReply | Refusal {
  if (type === '' || type === 'user') return { userTemplates: userTemplates(hostCas) };
  if (type === 'host') return hostTemplates(userCas, data ?? {});
  return refuse('bad-request', 'type must be "user" or "host".');
}

function hostTemplates(userCas: readonly string[], data: Readonly<Record<string, string>>): SshConfigReply | Refusal {
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
      template('ca.tpl', 'snippet', '/etc/ssh/ca.pub', userCas.map((line) => `${line}\n`).join('')),
    ],
  };
}

function userTemplates(hostCas: readonly string[]): ConfigTemplate[] {
  return [
    template('config.tpl', 'snippet', '~/.ssh/config', 'Host *\n\tInclude "${STEPPATH}/ssh/config"\n'),
    template(
      'step_config.tpl',
      'file',
      'ssh/config',
      'Host *\n\tUserKnownHostsFile "${STEPPATH}/ssh/known_hosts" ~/.ssh/known_hosts\n',
    ),
    template(
      'known_hosts.tpl',
      'file',
      'ssh/known_hosts',
      hostCas.map((line) => `@cert-authority * ${line}\n`).join(''),
    ),
  ];
}

function template(name: string, type: ConfigTemplate['type'], path: string, content: string): ConfigTemplate {
  return { name, type, path, comment: '#', content: encodeBase64(Buffer.from(content)) };
}

/** No path, no white space, no line break: the text ends up in sshd_config. */
function isFileName(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/.test(text);
}
