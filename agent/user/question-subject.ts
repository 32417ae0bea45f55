/** What a question to the user says: who asks, for which key, for what, and where (finding: approval prompts must tell). */
import { type UserauthRequest, recogniseSignedData } from '#openssh/agent-signed-data.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { ConnectionState } from './agent-state.ts';
import type { QuestionSubject } from './confirmation-queue.ts';
import { type Identity, displayText } from './identity.ts';
import type { SessionBinding } from './session-bindings.ts';

const MAX_NAMES = 8;

export function questionSubject(identity: Identity, connection: ConnectionState, data: Uint8Array): QuestionSubject {
  const request = recogniseSignedData(data);
  const { hops, last } = connection.bindings;
  const isVerified = request?.kind === 'userauth' && last !== undefined && isOfSession(request, last);
  return {
    key: {
      fingerprint: identity.fingerprint,
      kind: `${keyTypes[identity.publicKey.type].label}${identity.certificate === undefined ? '' : '-CERT'}`,
      comment: displayText(identity.comment),
    },
    purpose: request === undefined ? 'unknown' : request.kind === 'sshsig' ? 'file' : 'login',
    ...(request?.kind === 'userauth' ? { user: clean(request.user) } : {}),
    ...(request?.kind === 'sshsig' ? { namespace: clean(request.namespace) } : {}),
    ...(isVerified ? { host: describeHost(last) } : {}),
    forwarded: hops.length > 1 || last?.isForwarding === true,
  };
}

function isOfSession(request: UserauthRequest, last: SessionBinding): boolean {
  return !last.isForwarding && equalBytes(request.sessionId, last.sessionId);
}

function describeHost({ hostKey }: SessionBinding): NonNullable<QuestionSubject['host']> {
  const names = hostKey.certificate?.principals.slice(0, MAX_NAMES).map(clean) ?? [];
  return { fingerprint: fingerprintOf(encodePublicKey(hostKey.key)), names };
}

function clean(text: string): string {
  return displayText(new TextEncoder().encode(text));
}
