/** Routes that tell what this CA is: GET /health /version /root/{sha} /roots /roots.pem /provisioners, shaped as step-ca does (step-wire 1.5). */
import { Type } from 'typebox';
import { version } from '#protocol/version.ts';
import { HealthReply, ProvisionersReply, RootReply, RootsReply, VersionReply } from '#protocol/step-api.ts';
import { SSHPOP_PROVISIONER } from '#protocol/renewal.ts';
import { ADMIN_PROVISIONER } from '../../token/one-time-token.ts';
import { refuse } from '../../refusal.ts';
import type { CaContext, CaParts, ContextSource } from '../context.ts';
import { accepted } from '../failure.ts';
import type { CaServer } from '../typed-server.ts';

export function informationRoutes(server: CaServer, live: ContextSource): void {
  server.get('/health', { schema: { response: { 200: HealthReply } } }, () => ({ status: 'ok' as const }));
  server.get('/version', { schema: { response: { 200: VersionReply } } }, () => ({ version }));
  rootRoutes(server, live.current);
  const query = Type.Object({
    limit: Type.Optional(Type.Integer()),
    cursor: Type.Optional(Type.String({ maxLength: 64 })),
  });
  server.get('/provisioners', { schema: { querystring: query, response: { 200: ProvisionersReply } } }, (request) => ({
    provisioners: (request.query.cursor ?? '') === '' ? provisionersOf(live.current) : [],
    nextCursor: '',
  }));
}

function rootRoutes(server: CaServer, { rootPem, rootFingerprint }: CaParts): void {
  const params = Type.Object({ sha: Type.String({ maxLength: 128 }) });
  const unknown = refuse(
    'not-found',
    'This CA has no root certificate with that fingerprint. Compare it with what `countersign-ca init` printed.',
  );
  server.get('/root/:sha', { schema: { params, response: { 200: RootReply } } }, (request) => {
    const wanted = request.params.sha.toLowerCase().replaceAll('-', '');
    return accepted(wanted === rootFingerprint ? { ca: rootPem } : unknown);
  });
  // 201, as step-ca answers.
  server.get('/roots', { schema: { response: { 201: RootsReply } } }, (_request, reply) => {
    reply.code(201);
    return { crts: [rootPem] };
  });
  server.get('/roots.pem', (_request, reply) => reply.type('application/x-pem-file').send(rootPem));
}

function provisionersOf({ tokenKey, oidc }: CaContext): { type: string; name: string }[] {
  const admin = { type: 'JWK', name: ADMIN_PROVISIONER, key: tokenKey.publicJwk, claims: { enableSSHCA: true } };
  // Exactly one of this type: with more, step clients would ask the user which one (step-wire 0.5).
  const sshpop = { type: 'SSHPOP', name: SSHPOP_PROVISIONER, claims: { enableSSHCA: true } };
  return [admin, sshpop, ...oidc.describe()];
}
