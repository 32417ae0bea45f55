/** GET /host/challenge, POST /host/token and /host/certificate: a host proves its key (docs/enrolment-protocol.md, steps 2 and 4). */
import { randomBytes, randomInt } from 'node:crypto';
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import {
  ChallengeQuery,
  ChallengeReply,
  HostCertificateReply,
  TokenReply,
  TokenRequest,
} from '#protocol/host-challenge.ts';
import { type ProvenHost, makeChallenge, readChallenge } from '../../enrol/challenge.ts';
import { findProofFault, keyTypeOfProof, verifiedVoucher } from '../../enrol/proof.ts';
import { findUnused } from '../../enrol/unused-certificate.ts';
import { refusalOfHost } from '../../issue/issuer.ts';
import { principalsOfHost } from '../../policy/principal-policy.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { HostTokenRefusal } from '../../store/decisions.ts';
import { ENROLMENT_PROVISIONER, makeClaims } from '../../token/one-time-token.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { accepted } from '../failure.ts';
import { signalOf } from '../request-end.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function hostEnrolmentRoutes(server: CaServer, live: ContextSource): void {
  const challenge = { querystring: ChallengeQuery, response: { 200: ChallengeReply } };
  server.get('/host/challenge', { schema: challenge }, async (request, reply) =>
    accepted(await giveChallenge(request.query, originOf(request), signalOf(reply), live.current)),
  );
  const token = { body: TokenRequest, response: { 200: TokenReply } };
  server.post('/host/token', { schema: token }, async (request, reply) =>
    accepted(await giveToken(request.body, originOf(request), signalOf(reply), live.current)),
  );
  const certificate = { body: TokenRequest, response: { 200: HostCertificateReply } };
  server.post('/host/certificate', { schema: certificate }, async (request, reply) =>
    accepted(await giveCertificate(request.body, originOf(request), signalOf(reply), live.current)),
  );
}

async function giveChallenge(
  query: ChallengeQuery,
  origin: RequestOrigin,
  signal: AbortSignal,
  context: CaContext,
): Promise<ChallengeReply | Refusal> {
  const claim = { ...query, names: query.name, addresses: query.ip, port: query.port ?? 22 };
  const host = await context.hostCheck.proveAll(claim, { requester: origin.requester, signal });
  const now = context.now();
  const subject = { type: 'host', name: query.name[0] ?? null, keyFingerprint: query.fingerprint, ...origin } as const;
  const details = { names: query.name, addresses: query.ip, port: claim.port };
  if (isRefusal(host)) {
    await context.store.appendAudit([
      { time: now, action: 'host-challenge', outcome: 'refused', code: host.refused, subject, details },
    ]);
    return host;
  }
  const key = await context.challengeKeys.current(now);
  await context.store.appendAudit([
    { time: now, action: 'host-challenge', outcome: 'allowed', code: 'ok', subject, details },
  ]);
  return makeChallenge(host, key, now, context.config.enrolment.challengeSeconds, randomBytes(32));
}

/** What was issued and never arrived, to the holder of its key: the same proof as for a token, and no second certificate. */
async function giveCertificate(
  body: TokenRequest,
  origin: RequestOrigin,
  signal: AbortSignal,
  context: CaContext,
): Promise<HostCertificateReply | Refusal> {
  const now = context.now();
  const payload = readChallenge(body, context.hostCas, now);
  const proven = await judgeProof(body, payload, origin, signal, context);
  const found = isRefusal(proven) ? proven : await findUnused(proven.host, now, context.store);
  const claimed =
    typeof payload === 'string' ? {} : { name: payload.names[0] ?? null, keyFingerprint: payload.fingerprint };
  const serial = isRefusal(found) ? null : found.record.serial;
  const subject = { type: 'host', ...claimed, serial, provisioner: ENROLMENT_PROVISIONER, ...origin } as const;
  const verdict = isRefusal(found)
    ? ({ outcome: 'refused', code: found.refused } as const)
    : ({ outcome: 'allowed', code: 'same-certificate' } as const);
  await context.store.appendAudit([{ time: now, action: 'certificate-retrieve', ...verdict, subject }]);
  if (isRefusal(found)) return found;
  return { crt: encodeBase64(found.certificate), principals: [...found.record.principals] };
}

async function giveToken(
  body: TokenRequest,
  origin: RequestOrigin,
  signal: AbortSignal,
  context: CaContext,
): Promise<TokenReply | Refusal> {
  const payload = readChallenge(body, context.hostCas, context.now());
  const proven = await judgeProof(body, payload, origin, signal, context);
  if (isRefusal(proven)) {
    const subject =
      typeof payload === 'string' ? {} : { name: payload.names[0] ?? null, keyFingerprint: payload.fingerprint };
    const statement = { time: context.now(), action: 'host-token', outcome: 'refused', code: proven.refused } as const;
    await context.store.appendAudit([{ ...statement, subject: { type: 'host', ...subject, ...origin } }]);
    return proven;
  }
  return recordToken(proven, origin, context);
}

interface ProvenEnrolment {
  readonly host: ProvenHost;
  readonly nonce: string;
  readonly expiresAt: bigint;
  readonly vouchedBy: Fingerprint | undefined;
}

/** Cheap checks first: a dial-back is made only for a challenge of ours. */
async function judgeProof(
  body: TokenRequest,
  payload: ReturnType<typeof readChallenge>,
  { requester }: RequestOrigin,
  signal: AbortSignal,
  context: CaContext,
): Promise<ProvenEnrolment | Refusal> {
  if (payload === 'challenge-expired')
    return refuse(payload, 'The challenge has expired. Ask for a new one and answer it at once.');
  if (payload === 'challenge-invalid')
    return refuse(payload, 'The challenge was not made by this CA, or it was altered.');
  const claim = { ...payload, keyType: keyTypeOfProof(body.proof) };
  const key = await context.hostCheck.proveKey(claim, randomInt(payload.addresses.length), { requester, signal });
  if (isRefusal(key)) return key;
  const fault = findProofFault(body.proof, body, key.blob);
  if (fault === 'proof-wrong-key')
    return refuse(fault, 'The proof was made by another key than the host key that was challenged.');
  if (fault !== undefined)
    return refuse(fault, 'The proof does not verify: it must be an SSHSIG over "payload.signature" in its namespace.');
  const vouchedBy = body.voucher === undefined ? undefined : verifiedVoucher(body.voucher, body);
  if (body.voucher !== undefined && vouchedBy === undefined)
    return refuse('voucher-invalid', 'The voucher does not verify.');
  const { names, addresses, port, nonce, expiresAt } = payload;
  return {
    host: { names, addresses, port, fingerprint: key.fingerprint },
    nonce,
    expiresAt: BigInt(expiresAt),
    vouchedBy,
  };
}

async function recordToken(
  { host, nonce, expiresAt, vouchedBy }: ProvenEnrolment,
  origin: RequestOrigin,
  context: CaContext,
): Promise<TokenReply | Refusal> {
  const { config, tokenKey, store, authority, rootFingerprint } = context;
  const now = context.now();
  const principals = principalsOfHost(host.names, host.addresses, config);
  const id = encodeBase64Url(randomBytes(16));
  const keyId = host.names[0] ?? '';
  const grant = {
    provisioner: ENROLMENT_PROVISIONER,
    type: 'host',
    keyId,
    principals,
    validBefore: '',
    key: host.fingerprint,
  } as const;
  const tokenId = encodeBase64Url(randomBytes(24));
  const claims = makeClaims(
    { ...grant, enrolment: { id, host, vouchedBy } },
    { authority, rootFingerprint, now, lifetimeSeconds: config.enrolment.tokenSeconds, tokenId },
  );
  const decision = await store.recordHostToken({
    nonce: { id: `challenge:${nonce}`, expiresAt },
    token: { id: tokenId, expiresAt: BigInt(claims.exp) },
    host: {
      enrolment: id,
      names: host.names,
      addresses: host.addresses,
      keyFingerprint: host.fingerprint,
      vouchedBy: vouchedBy ?? null,
    },
    audit: {
      time: now,
      action: 'host-token',
      subject: {
        type: 'host',
        name: keyId,
        keyFingerprint: host.fingerprint,
        provisioner: ENROLMENT_PROVISIONER,
        ...origin,
      },
      details: { names: [...host.names], addresses: [...host.addresses], port: host.port, principals },
    },
  });
  if (!decision.accepted) return refusalOfToken(decision.refusal, keyId);
  return { token: await tokenKey.sign(claims), principals, expiresAt: claims.exp };
}

function refusalOfToken(refusal: HostTokenRefusal, name: string): Refusal {
  switch (refusal) {
    case 'nonce-used':
      return refuse('challenge-used', 'The challenge was used before. A challenge works once: ask for a new one.');
    case 'nonce-expired':
      return refuse('challenge-expired', 'The challenge has expired. Ask for a new one and answer it at once.');
    case 'host-already-enrolled':
    case 'name-held-by-another-key':
      return refusalOfHost(refusal, name);
    case 'token-exists':
    case 'token-expired':
      return refuse('internal', 'The CA could not make a token. Try again.');
  }
}
