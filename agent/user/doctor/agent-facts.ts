/** Looks at the agent that ssh uses: whether it answers, how much it has, and which certificates of the CA are among it. Does I/O. */
import { decodeAgentReply } from '#openssh/agent-reply.ts';
import { encodeListRequest } from '#openssh/agent-request.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { SessionBindings } from '../session-bindings.ts';
import { defaultSocketPath, isSamePath } from '../socket-path.ts';
import { UpstreamError, UpstreamLink } from '../upstream-link.ts';
import type { AgentFacts } from './login-facts.ts';
import type { AgentSetting } from './ssh-settings.ts';

const REPLY_TIMEOUT_MS = 10_000;

export async function lookAtAgent(setting: AgentSetting, userCas: ReadonlySet<Fingerprint>): Promise<AgentFacts> {
  if (setting.kind !== 'socket') return { kind: setting.kind };
  const { path: socket } = setting;
  const link = new UpstreamLink(socket, new SessionBindings());
  try {
    const reply = decodeAgentReply(await link.request(encodeListRequest(), REPLY_TIMEOUT_MS));
    if (reply.type !== 'identities') return { kind: 'silent', socket };
    const certificates = reply.identities.flatMap(({ blob }) => certificateOf(blob, userCas));
    return { kind: 'there', socket, identities: reply.identities.length, certificates };
  } catch (error) {
    if (error instanceof UpstreamError || error instanceof FormatError) return { kind: 'silent', socket };
    throw error;
  } finally {
    link.close();
  }
}

/** The socket of another agent of this user that has certificates of the CA: the one in SSH_AUTH_SOCK, or our daemon. */
export async function findElsewhere(
  found: AgentFacts,
  userCas: ReadonlySet<Fingerprint>,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  if (found.kind === 'there' && found.certificates.length > 0) return undefined;
  const used = 'socket' in found ? found.socket : undefined;
  const candidates = [environment['SSH_AUTH_SOCK'] ?? '', defaultSocketPath(environment)];
  for (const socket of candidates) {
    if (socket === '' || (used !== undefined && isSamePath(socket, used))) continue;
    const other = await lookAtAgent({ kind: 'socket', path: socket }, userCas);
    if (other.kind === 'there' && other.certificates.length > 0) return socket;
  }
  return undefined;
}

function certificateOf(blob: Uint8Array, userCas: ReadonlySet<Fingerprint>): Certificate[] {
  try {
    const certificate = decodeCertificate(blob);
    const ca = fingerprintOf(encodePublicKey(certificate.signatureKey));
    return certificate.type === 'user' && userCas.has(ca) ? [certificate] : [];
  } catch (error) {
    if (error instanceof FormatError) return []; // a plain key
    throw error;
  }
}
