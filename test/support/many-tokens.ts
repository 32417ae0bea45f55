/** One-time tokens as `countersign-ca token` makes them, many at once and without starting the program for each. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { encodeBase64Url } from '#openssh/base64.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { authorityOf, openConfig, storePath } from '#ca-lite/directory/open-config.ts';
import { readSecret } from '#ca-lite/directory/secrets.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { ADMIN_PROVISIONER, makeClaims } from '#ca-lite/token/one-time-token.ts';
import { loadTokenKey } from '#ca-lite/token/token-key.ts';
import { x509Fingerprint } from '#ca-lite/x509/certificate-authority.ts';
import { PASSPHRASE, type TestCa } from './ca.ts';

/** @param names one token each */
export async function makeTokens(
  { directory }: TestCa,
  type: 'user' | 'host',
  names: readonly string[],
): Promise<string[]> {
  const layout = caLayout(directory);
  const config = await openConfig(layout);
  const tokenKey = await loadTokenKey(await readSecret(layout, 'token', Buffer.from(PASSPHRASE)));
  const rootFingerprint = x509Fingerprint(await readFile(layout.rootCertificate, 'utf8'));
  await using store = await openSqliteStore({ path: storePath(layout, config), role: 'administrator' });
  const authority = authorityOf(config, config.listen.port);
  return await Promise.all(
    names.map(async (name) => {
      const [tokenId, now] = [encodeBase64Url(randomBytes(24)), BigInt(Math.floor(Date.now() / 1000))];
      const grant = { provisioner: ADMIN_PROVISIONER, type, keyId: name, principals: [name], validBefore: '' } as const;
      const claims = makeClaims(grant, { authority, rootFingerprint, now, lifetimeSeconds: 1800, tokenId });
      const single = { id: tokenId, expiresAt: BigInt(claims.exp) };
      const decision = await store.recordToken({
        token: single,
        audit: { time: now, action: 'token-make', subject: { type, name } },
      });
      if (!decision.accepted) throw new Error(`token not recorded: ${decision.refusal}`);
      return tokenKey.sign(claims);
    }),
  );
}
