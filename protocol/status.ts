/**
 * `POST /ssh/status`: an agent tells what it installed, signed by the key of the certificate that it reports. The first report of a
 * renewed certificate is what acknowledges it: from then on its predecessor is of the past. Later reports keep the CA's inventory true.
 *
 * Send it after the certificate is durably on the disk and sshd serves it, never before; then at each renewal check, some times a day.
 * A report that got lost is sent again with a new token. `ott` is an SSHPOP token (protocol/renewal.ts) for the operation `status` with one
 * more claim, `report`: the hex SHA-256, lower case, of the decoded bytes of the member `report`.
 */
import { Type, type Static } from 'typebox';
import { Base64, FingerprintText } from './wire-text.ts';

const Serial = Type.String({
  pattern: '^[1-9][0-9]{0,19}$',
  description: 'decimal: it may exceed what JSON numbers hold',
});
/** Decimal uint64; KRLs are numbered from 1, and "0" means none. */
const KrlNumber = Type.String({ pattern: '^(0|[1-9][0-9]{0,19})$' });
const Fingerprints = Type.Array(FingerprintText, { maxItems: 64 });

export const StatusRequest = Type.Object({
  ott: Type.String({ minLength: 1, maxLength: 32 * 1024, description: 'SSHPOP token with the claim `report`' }),
  report: Type.Unsafe<string>({
    ...Base64,
    maxLength: 32 * 1024,
    description: 'base64 of a StatusReport, a JSON text',
  }),
});
export type StatusRequest = Static<typeof StatusRequest>;

export const STATUS_REPORT_TYPE = 'countersign-status-v1';

/** Unknown members are ignored, so that a newer agent can tell more. */
export const StatusReport = Type.Object({
  type: Type.Literal(STATUS_REPORT_TYPE),
  /** Of the certificate that is installed; the `sub` of the token. */
  serial: Serial,
  /** Semantic version of the agent. */
  agentVersion: Type.String({ minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$' }),
  /** What the host trusts now: the CA keys in its files, as `ssh-keygen -l` prints them. */
  trustedHostCas: Fingerprints,
  trustedUserCas: Fingerprints,
  /** The number of the KRL that sshd uses; "0" without one. */
  krlNumber: KrlNumber,
});
export type StatusReport = Static<typeof StatusReport>;

export const StatusReply = Type.Object({
  serial: Serial,
  /** Names the chain of certificates in the CA's lists: `countersign-ca lineage L`. */
  lineage: Type.String({ maxLength: 64 }),
  /** True when this report was the first sign of the certificate's use. */
  acknowledged: Type.Boolean(),
  /** The current KRL: pull it when it is another one than reported. */
  krlNumber: KrlNumber,
  /** True when the host should renew at its next chance although its certificate is young: the CA key or its names changed. */
  renewNow: Type.Boolean(),
});
export type StatusReply = Static<typeof StatusReply>;
