/**
 * TLS connections to the CA, in two ways. With a system clock that is believed, OpenSSL judges everything. Otherwise it judges
 * everything but the time, we judge the path once more (its one report may hide another fault), and the time is held against the
 * believed clock, or left open for the one question that asks for it. Nothing is sent before. Does I/O.
 */
import type { TLSSocket } from 'node:tls';
import { callbackify } from 'node:util';
import { buildConnector } from 'undici';
import type { Validity } from './certificate-validity.ts';

interface OwnTrust {
  readonly mode: 'own';
  readonly root: string;
  readonly judgeTime: (validity: Validity) => boolean;
}

export type TlsTrust = { readonly mode: 'system'; readonly root: string } | OwnTrust | { readonly mode: 'unverified' };

type Connect = ReturnType<typeof buildConnector>;

/** @param timeoutMs for connection and handshake together */
export function tlsConnector(trust: TlsTrust, timeoutMs: number): Connect {
  const basic = { minVersion: 'TLSv1.2', timeout: timeoutMs } as const;
  if (trust.mode === 'system') return buildConnector({ ...basic, ca: [trust.root] });
  // A resumed session would bring no certificates to look at.
  const connect = buildConnector({ ...basic, rejectUnauthorized: false, maxCachedSessions: 0, ...ownChecks(trust) });
  if (trust.mode === 'unverified') return connect;
  const call = callbackify(async (options: buildConnector.Options) => openVerified(connect, options, trust));
  return (options, callback) =>
    call(options, (error: Error | null, socket) => (error === null ? callback(null, socket) : callback(error, null)));
}

async function openVerified(connect: Connect, options: buildConnector.Options, trust: OwnTrust): Promise<TLSSocket> {
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    connect(options, (...[error, opened]) => (error === null ? resolve(opened as TLSSocket) : reject(error)));
  });
  try {
    const fault = await findFault(socket, trust, options.hostname);
    if (fault !== undefined) throw fault;
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function ownChecks(trust: TlsTrust) {
  return trust.mode === 'own' ? { ca: [trust.root], checkServerIdentity: () => undefined } : {};
}

const timeCodes: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/** With the codes of Node and OpenSSL, as for connections that they judge (`transport-error.ts`). */
async function findFault(
  socket: TLSSocket,
  { root, judgeTime }: OwnTrust,
  hostname: string,
): Promise<Error | undefined> {
  const { judgePath } = await import('./certificate-path.ts'); // a machine whose clock is right never needs it
  const reported = String(socket.authorizationError ?? '');
  if (!socket.authorized && !timeCodes.has(reported)) return coded(reported);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const verdict = judgePath({ presented: presentedBy(socket), root, host });
  if (verdict.fault === 'other-name') return coded('ERR_TLS_CERT_ALTNAME_INVALID');
  if (verdict.fault !== undefined) return coded('CERT_UNTRUSTED');
  return judgeTime(verdict.validity) ? undefined : coded('CERT_HAS_EXPIRED');
}

function presentedBy(socket: TLSSocket): Uint8Array[] {
  const presented: Uint8Array[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && presented.length < 16) {
    presented.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return presented;
}

function coded(code: string): Error {
  return Object.assign(new Error(`the certificate of the server was refused: ${code}`), { code });
}
