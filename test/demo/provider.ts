/** The identity provider of the demo, a process of its own as in life: tells its issuer and the root of its TLS certificate in one line of JSON. */
import { startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { DEMO_PRINCIPAL } from './stage.ts';

const { issuer, root } = await startOpenidProvider({
  accounts: { [DEMO_PRINCIPAL]: { claims: { email: `${DEMO_PRINCIPAL}@demo.internal`, email_verified: true } } },
  clients: [
    {
      client_id: 'countersign',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
});
process.stdout.write(`${JSON.stringify({ issuer, root })}\n`);
