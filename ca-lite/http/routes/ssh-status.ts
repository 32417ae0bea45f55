/** POST /ssh/status: a host reports what it installed, which acknowledges a renewal (protocol/status.ts; docs/lineage.md). */
import { hash } from 'node:crypto';
import { Value } from 'typebox/value';
import { decodeBase64 } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import { equalBytes } from '#openssh/wire.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { StatusReply, StatusReport, StatusRequest } from '#protocol/status.ts';
import {
  type PresentedCertificate,
  auditRefusal,
  noteOfPresented,
  presentedBy,
  readPresented,
  refusalOfPresented,
} from '../../lineage/presented.ts';
import { principalsToday } from '../../lineage/renewal-plan.ts';
import { useOf } from '../../lineage/sshpop-token.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { type RequestOrigin, originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

const MAX_KRL_NUMBER = 2n ** 63n - 1n;

export function sshStatusRoute(server: CaServer, live: ContextSource): void {
  const schema = { body: StatusRequest, response: { 200: StatusReply } };
  server.post('/ssh/status', { schema }, async (request, reply) => {
    const context = live.current;
    const [now, origin] = [context.now(), originOf(request)];
    const presented = await readPresented(request.body.ott, 'status', now, context);
    const report = isRefusal(presented) ? presented : readReport(request.body, presented);
    if (isRefusal(presented) || isRefusal(report)) {
      const refusal = isRefusal(presented) ? presented : (report as Refusal);
      return sendRefusal(reply, await auditRefusal('host-report', refusal, origin, context));
    }
    const result = await record(presented, report, origin, now, context);
    return isRefusal(result) ? sendRefusal(reply, result) : result;
  });
}

/** The report, if it is the one that the token was made for. */
function readReport({ report }: StatusRequest, { proven }: PresentedCertificate): StatusReport | Refusal {
  const malformed = refuse('report-invalid', 'The report is not as documented, or the token is for another one.');
  try {
    const bytes = decodeBase64(report);
    if (proven.claims.report !== hash('sha256', bytes, 'hex')) return malformed;
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (!Value.Check(StatusReport, value) || BigInt(value.krlNumber) > MAX_KRL_NUMBER) return malformed;
    return value.serial === String(proven.certificate.serial) ? value : malformed;
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError || error instanceof TypeError) return malformed;
    throw error;
  }
}

async function record(
  presented: PresentedCertificate,
  said: StatusReport,
  origin: RequestOrigin,
  now: bigint,
  context: CaContext,
): Promise<StatusReply | Refusal> {
  const { agentVersion, trustedHostCas, trustedUserCas } = said;
  const decision = await context.store.recordReport({
    token: useOf(presented.proven),
    presented: presentedBy(presented, origin, now, context),
    report: { agentVersion, trustedHostCas, trustedUserCas, krlNumber: BigInt(said.krlNumber) },
    audit: noteOfPresented('host-report', presented, origin, now, { agentVersion }),
  });
  if (!decision.accepted) return refusalOfPresented(decision.refusal, presented, decision.lineage);
  return {
    serial: said.serial,
    lineage: decision.lineage,
    acknowledged: decision.acknowledged,
    krlNumber: String(decision.krlNumber),
    renewNow: isOutdated(presented, context),
  };
}

/** Signed by a CA key that is on its way out, or for other names than policy gives the host today. */
function isOutdated({ proven, subject }: PresentedCertificate, { signers, config }: CaContext): boolean {
  const { signatureKey, principals } = proven.certificate;
  if (!equalBytes(encodePublicKey(signatureKey), encodePublicKey(signers.host.publicKey))) return true;
  const today = principalsToday(subject, config);
  return today.length > 0 && (today.length !== principals.length || today.some((name) => !principals.includes(name)));
}
