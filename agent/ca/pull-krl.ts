/** Fetches what is revoked (`GET /ssh/krl`, `GET /ssh/krl.sig`). Does I/O; `krl-verdict.ts` decides. */
import type { Krl } from '#openssh/krl.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import type { CaClient } from './ca-client.ts';
import { CaError } from './ca-error.ts';
import { judgeKrl } from './krl-verdict.ts';
import { statementError } from './statement-error.ts';

/** The KRL changed between the two requests: asked again, this often. */
const ATTEMPTS = 3;

export interface KrlQuestion {
  /** As the trust document names it. */
  readonly path: string;
  /** Of the KRL that is held; undefined before the first. */
  readonly heldNumber: bigint | undefined;
  readonly heldEtag: string | undefined;
}

export interface PulledKrl {
  readonly bytes: Uint8Array;
  readonly krl: Krl;
  readonly etag: string | undefined;
}

/**
 * @param client that takes bodies of `MAX_KRL_LENGTH` @param now epoch seconds, by a clock that is believed
 * @returns undefined when nothing changed since what is held
 * @throws CaError `statement-refused`, `statement-older`, `ca-keys-changed`, `krl-unusable`, and those of requests
 */
export async function pullKrl(
  client: CaClient,
  authority: Authority,
  { path, heldNumber, heldEtag }: KrlQuestion,
  now: () => bigint,
): Promise<PulledKrl | undefined> {
  const pair = await fetchPair(client, path, heldEtag);
  if (pair === undefined) return undefined;
  const { bytes, armored, etag } = pair;
  const verdict = judgeKrl({ bytes, armored }, heldNumber, fingerprintsOf(authority.hostCaKeys), now());
  if (verdict.fault !== undefined) throw statementError('The revocation list', verdict.fault, authority.url);
  return { bytes, krl: verdict.krl, etag };
}

interface Pair {
  readonly bytes: Uint8Array;
  readonly armored: string;
  readonly etag: string | undefined;
}

/** A KRL and the signatures for the same one. */
async function fetchPair(client: CaClient, path: string, heldEtag: string | undefined): Promise<Pair | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { bytes, etag } = await client.download(path, heldEtag);
    if (bytes === undefined) return undefined;
    const signed = await client.download(`${path}.sig`);
    if (signed.bytes === undefined || signed.etag !== etag) continue;
    return { bytes, etag, armored: Buffer.from(signed.bytes).toString('latin1') };
  }
  throw new CaError('ca-reply-invalid', 'the revocation list of the CA changes with each request', {
    advice: 'Try again. If this goes on, the servers behind this address do not have the same state.',
  });
}
