/** POST /ssh/rekey: a host goes on with another key, by leave of a certificate that is valid now (protocol/renewal.ts; step-wire 1.5). */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey, publicKeyObject } from '#openssh/public-key.ts';
import { SshRekeyRequest, SshRenewReply } from '#protocol/renewal.ts';
import { type PresentedCertificate, auditRefusal, readPresented } from '../../lineage/presented.ts';
import { isRekeyProof } from '../../lineage/rekey-proof.ts';
import { renewHost } from '../../lineage/renew-host.ts';
import { type Refusal, isRefusal, refuse } from '../../refusal.ts';
import type { CaContext, ContextSource } from '../context.ts';
import { sendRefusal } from '../failure.ts';
import { signalOf } from '../request-end.ts';
import { originOf } from '../request-origin.ts';
import type { CaServer } from '../typed-server.ts';

export function sshRekeyRoute(server: CaServer, live: ContextSource): void {
  const schema = { body: SshRekeyRequest, response: { 201: SshRenewReply } };
  server.post('/ssh/rekey', { schema }, async (request, reply) => {
    const context = live.current;
    const [now, origin] = [context.now(), originOf(request)];
    const presented = await readPresented(request.body.ott, 'rekey', now, context);
    const key = isRefusal(presented) ? presented : judgeRekey(request.body, presented, now, context);
    if (isRefusal(presented) || isRefusal(key)) {
      const refusal = isRefusal(presented) ? presented : (key as Refusal);
      return sendRefusal(reply, await auditRefusal('certificate-rekey', refusal, origin, context));
    }
    const wish = { operation: 'rekey', presented, key, origin, signal: signalOf(reply), now } as const;
    const result = await renewHost(wish, context);
    if (isRefusal(result)) return sendRefusal(reply, result);
    return reply.code(201).send({ crt: encodeBase64(result.certificate) });
  });
}

/** The new key, if this certificate may ask for one. */
function judgeRekey(
  { publicKey, proof, ott }: SshRekeyRequest,
  { subject }: PresentedCertificate,
  now: bigint,
  { config }: CaContext,
): PublicKey | Refusal {
  if (subject.certificate.validBefore <= now)
    return refuse('certificate-expired', 'An expired certificate cannot get another key. Renew it first.');
  const key = readKey(publicKey);
  if (isRefusal(key)) return key;
  if (proof === undefined && !config.renewal.requireRekeyProof) return key;
  if (proof !== undefined && isRekeyProof(proof, ott, key)) return key;
  return refuse('rekey-proof-invalid', 'The new key must sign the token too, and this is not its signature.');
}

function readKey(publicKey: string): PublicKey | Refusal {
  try {
    const key = decodePublicKey(decodeBase64(publicKey));
    publicKeyObject(key); // a point off its curve shows here
    return key;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refuse('key-not-supported', `The public key cannot be used: ${error.message}.`);
  }
}
