/** HTTPS as `localhost` on a free port of this machine, with a certificate of a root of its own: what an identity provider is at least. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
} from '#ca-lite/x509/certificate-authority.ts';

export interface HttpsServer extends AsyncDisposable {
  /** Origin, without a slash at the end. */
  readonly issuer: string;
  /** PEM. */
  readonly root: string;
}

export async function startHttpsServer(listener: RequestListener): Promise<HttpsServer> {
  const now = new Date();
  const root = await createRoot('Test', await generateX509Key(), now);
  const intermediate = await createIntermediate('Test', root, await generateX509Key(), now);
  const key = await generateX509Key();
  const { certificatePem, privateKey } = await createServerCertificate(['localhost'], intermediate, key, now);
  const cert = `${certificatePem}\n${intermediate.certificatePem}`;
  const server = createServer({ cert, key: privateKey.export({ format: 'pem', type: 'pkcs8' }) }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    issuer: `https://localhost:${(server.address() as AddressInfo).port}`,
    root: root.certificatePem,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
