/**
 * Makes a planned certificate real, in the order that a CA must keep: record the intent (which consumes the token), sign, verify,
 * record the result, and only then let it out. A crash in between leaves an intent without a result, which the next start closes.
 */
import { type CertificateType, assembleCertificate, decodeCertificate } from '#openssh/certificate.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { AuditNote } from '../audit/entry.ts';
import { lineageNamed } from '../lineage/lineage-name.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { type Signer, SignerError } from '../signer/signer.ts';
import type { HostBinding, IntentRefusal, TokenUse } from '../store/decisions.ts';
import type { Store } from '../store/store.ts';
import type { SignIn } from '../store/user-decisions.ts';
import type { CertificatePlan } from './certificate-plan.ts';

export interface IssuanceContext {
  readonly token: TokenUse | null;
  readonly host: HostBinding | null;
  /** Of a user certificate: begins a session that can be renewed. */
  readonly signIn?: SignIn | undefined;
  readonly provisioner: string;
  readonly requester: string;
  readonly requestId: string;
  /** Epoch seconds. */
  readonly now: bigint;
  readonly signal?: AbortSignal;
}

export interface CaSigners extends Readonly<Record<CertificateType, Signer>> {
  /** The signer of a CA key that was the current one when a certificate was planned. A rotation may have gone on since. */
  of(key: PublicKey): Signer | undefined;
}

/** The certificate, durable and recorded, or why there is none. @throws StoreError, SignerError */
export async function issueCertificate(
  plan: CertificatePlan,
  context: IssuanceContext,
  { store, signers }: { readonly store: Store; readonly signers: CaSigners },
): Promise<{ readonly certificate: Uint8Array } | Refusal> {
  const { fields, toBeSigned, keyFingerprint } = plan;
  const intent = await store.recordIntent({
    serial: fields.serial,
    type: fields.type,
    signedBytes: toBeSigned,
    keyFingerprint,
    keyId: fields.keyId,
    principals: fields.principals,
    validAfter: fields.validAfter,
    validBefore: fields.validBefore,
    lineage: fields.type === 'host' || context.signIn !== undefined ? lineageNamed(fields.serial) : null,
    predecessor: null,
    provisioner: context.provisioner,
    requester: context.requester,
    now: context.now,
    token: context.token,
    host: context.host,
    signIn: context.signIn,
    audit: noteOf('certificate-intend', plan, context),
  });
  if (!intent.accepted) return refusalOfIntent(intent.refusal, context.host);
  return signAndRecord(plan, context, { store, signers });
}

/** The second half, for an intent that is on record. @throws StoreError, SignerError */
export async function signAndRecord(
  plan: CertificatePlan,
  context: IssuanceContext,
  { store, signers }: { readonly store: Store; readonly signers: CaSigners },
): Promise<{ readonly certificate: Uint8Array } | Refusal> {
  const { fields } = plan;
  const certificate = await signOrAbandon(plan, context, signers.of(fields.signatureKey), store);
  const result = await store.recordResult({
    serial: fields.serial,
    certificate,
    now: context.now,
    audit: noteOf('certificate-issue', plan, context),
  });
  if (!result.accepted && result.refusal === 'intent-closed') {
    return refuse('renewal-revoked', 'It was revoked at this moment, while its certificate was being signed.');
  }
  if (!result.accepted) throw new Error(`the result of a signature was not taken: ${result.refusal}`);
  return { certificate };
}

async function signOrAbandon(
  plan: CertificatePlan,
  context: IssuanceContext,
  signer: Signer | undefined,
  store: Store,
): Promise<Uint8Array> {
  try {
    if (signer === undefined)
      throw new SignerError(
        'signer-unavailable',
        'The CA key was retired while this certificate was under way. Ask again.',
      );
    const { signal } = context;
    const options = signal === undefined ? {} : { signal };
    const signature = await signer.sign(plan.toBeSigned, { priority: plan.fields.type, ...options });
    const certificate = assembleCertificate(plan.toBeSigned, signature);
    // What leaves must read back as what was decided; the signature itself was verified by the signer.
    if (!equalBytes(decodeCertificate(certificate).signedBytes, plan.toBeSigned))
      throw new Error('the certificate does not read back');
    return certificate;
  } catch (error) {
    const audit = noteOf('certificate-abandon', plan, context);
    // The token was good, and nothing came of it: whoever is told to come back can come with the same one.
    await store.abandonIntent({ serial: plan.fields.serial, now: context.now, token: context.token, audit });
    throw error;
  }
}

export function noteOf(
  action: string,
  { fields, keyFingerprint }: CertificatePlan,
  context: IssuanceContext,
): AuditNote {
  const { provisioner, requester, requestId, now } = context;
  return {
    time: now,
    action,
    subject: {
      type: fields.type,
      name: fields.keyId,
      serial: fields.serial,
      keyFingerprint,
      provisioner,
      requester,
      requestId,
    },
    details: {
      principals: [...fields.principals],
      validAfter: String(fields.validAfter),
      validBefore: String(fields.validBefore),
    },
  };
}

function refusalOfIntent(refusal: IntentRefusal, host: HostBinding | null): Refusal {
  switch (refusal) {
    case 'token-used':
      return refuse('token-used', 'The token was used before. A token works once: ask for a new one.');
    case 'token-unknown':
      return refuse('token-invalid', 'This CA has no record of the token.');
    case 'token-expired':
      return refuse('token-expired', 'The token has expired. Ask for a new one and use it at once.');
    case 'host-already-enrolled':
    case 'name-held-by-another-key':
      return refusalOfHost(refusal, host?.names[0] ?? '');
    case 'key-revoked':
      return refuse('key-revoked', 'This key is revoked, for ever. Make a new one and ask for a certificate for that.');
    case 'lineage-quarantined':
      return refuse(
        'lineage-quarantined',
        'A copy of this key seems to be in use. An administrator has to resolve that first: countersign-ca lineages --quarantined',
      );
    case 'serial-exists':
      return refuse('internal', 'The CA drew a serial twice. Try again.');
  }
}

/** Trust on first use: the same words wherever it shows. */
export function refusalOfHost(refusal: 'host-already-enrolled' | 'name-held-by-another-key', name: string): Refusal {
  const clear = `an administrator can allow a new enrolment with: countersign-ca hosts clear ${name}`;
  return refusal === 'host-already-enrolled'
    ? refuse(
        'already-enrolled',
        `This host key is already enrolled from one of these addresses. If its certificate was lost, ${clear}`,
      )
    : refuse(
        'name-held-by-another-key',
        `${name} is enrolled with another host key. If the host was set up anew, ${clear}`,
      );
}
