/**
 * An issuer of ID tokens whose every word a test decides: real signatures and a real key set over TLS, and faults on request. It signs whatever
 * claims it is given, as a workload's issuer does (and a hostile one).
 */
import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type JWTHeaderParameters, SignJWT, exportJWK } from 'jose';
import { type HttpsServer, startHttpsServer } from './https-server.ts';

/** What comes in place of a document. */
export type IssuerFault = 'hangs' | 'html' | 'huge' | 'broken';
export type IssuerDocument = 'discovery' | 'keys';

const MAX_DOCUMENT_BYTES = 10 * 1024 * 1024;
const discoveryPath = '/.well-known/openid-configuration';

export class TokenIssuer implements AsyncDisposable {
  readonly faults = new Map<IssuerDocument, IssuerFault>();
  readonly fetches: Record<IssuerDocument, number> = { discovery: 0, keys: 0 };
  readonly #server: HttpsServer;
  #key = makeKey(1);

  private constructor(server: HttpsServer) {
    this.#server = server;
  }

  /** @param answers further paths, such as the one where a workload asks for its token */
  static async start(
    answers: (request: IncomingMessage, response: ServerResponse, issuer: TokenIssuer) => void = (_, response) =>
      response.writeHead(404).end(),
  ): Promise<TokenIssuer> {
    const issuer: { it?: TokenIssuer } = {};
    const server = await startHttpsServer((request, response) => {
      const { it } = issuer;
      if (it !== undefined && !it.#answer(request.url ?? '', response)) answers(request, response, it);
    });
    issuer.it = new TokenIssuer(server);
    return issuer.it;
  }

  get issuer(): string {
    return this.#server.issuer;
  }

  get root(): string {
    return this.#server.root;
  }

  get kid(): string {
    return this.#key.kid;
  }

  get publicKey(): KeyObject {
    return this.#key.publicKey;
  }

  /** A new key in place of the old one, from now on. */
  rotate(): void {
    this.#key = makeKey(Number(this.#key.kid.slice(1)) + 1);
  }

  async sign(claims: object, header: JWTHeaderParameters = { alg: 'RS256', kid: this.#key.kid }): Promise<string> {
    return new SignJWT({ ...claims }).setProtectedHeader(header).sign(this.#key.privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  #answer(url: string, response: ServerResponse): boolean {
    const document = url === discoveryPath ? 'discovery' : url === '/keys' ? 'keys' : undefined;
    if (document === undefined) return false;
    this.fetches[document]++;
    const fault = this.faults.get(document);
    if (fault !== undefined) answerWith(fault, response);
    else void this.#write(document, response);
    return true;
  }

  async #write(document: IssuerDocument, response: ServerResponse): Promise<void> {
    const { issuer } = this;
    const key = { ...(await exportJWK(this.#key.publicKey)), kid: this.#key.kid, use: 'sig', alg: 'RS256' };
    const body = document === 'keys' ? { keys: [key] } : { issuer, jwks_uri: `${issuer}/keys` };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  }
}

function makeKey(number: number) {
  return { kid: `k${number}`, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
}

function answerWith(fault: IssuerFault, response: ServerResponse): void {
  if (fault === 'html')
    response.setHeader('content-type', 'text/html').end('<!doctype html><h1>Log in to the Wi-Fi</h1>');
  if (fault === 'broken') response.writeHead(502).end('{}');
  if (fault === 'huge') {
    response.setHeader('content-type', 'application/json');
    response.end(`{"keys":[${' '.repeat(MAX_DOCUMENT_BYTES)}]}`);
  }
}
