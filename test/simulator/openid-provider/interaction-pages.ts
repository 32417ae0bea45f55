/**
 * The pages of the provider, as a person sees them: sign-in, consent, and the three of the device flow. Plain forms without a script, as real
 * providers have at their core. Whoever names an account, with its password where it has one, is signed in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Configuration, Grant, Interaction, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Account } from './openid-provider.ts';

const path = /^\/interaction\/([\w-]+)$/;
const MAX_FORM_BYTES = 64 * 1024;
const style =
  'body{font:1.1rem/1.6 sans-serif;max-width:24rem;margin:12vh auto}input,button{font:inherit;display:block;margin:.5rem 0}';

/** For `interactions.url`. */
export function interactionUrl(_context: KoaContextWithOIDC, { uid }: Interaction): string {
  return `/interaction/${uid}`;
}

/** For `features.deviceFlow`. */
export const deviceFlow: NonNullable<Configuration['features']>['deviceFlow'] = {
  enabled: true,
  userCodeInputSource: (context, form, _out, error) => {
    const words = error === undefined ? 'Enter the code that your device shows.' : 'That code is not known. Try again.';
    context.body = page('Connect a device', `<p>${words}</p>${form}${button('op.deviceInputForm', 'Continue')}`);
  },
  userCodeConfirmSource: (context, form, _client, _device, code) => {
    const no = '<button form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>';
    const words = `<p>Does your device show <code>${text(code)}</code>?</p>`;
    context.body = page('Connect a device', `${words}${form}${button('op.deviceConfirmForm', 'Continue')}${no}`);
  },
  successSource: (context) => {
    context.body = page('Device connected', '<p>You can go back to your device.</p>');
  },
};

/** @returns answers a request for one of the pages, and says false for any other */
export function interactionPages(provider: Provider, accounts: Readonly<Record<string, Account>>) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (!path.test(request.url ?? '')) return false;
    const answering = request.method === 'POST' ? submit(request, response) : show(request, response);
    answering.catch(() => response.writeHead(400, headers).end(page('This sign-in is over', '')));
    return true;
  };

  async function show(request: IncomingMessage, response: ServerResponse, words = ''): Promise<void> {
    const { prompt, params } = await provider.interactionDetails(request, response);
    const client = text(String(params['client_id']));
    const html = prompt.name === 'login' ? loginPage(client, words) : consentPage(client);
    response.writeHead(200, headers).end(html);
  }

  async function submit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request);
    const details = await provider.interactionDetails(request, response);
    if (form.has('cancel')) {
      const result = { error: 'access_denied', error_description: 'The person said no' };
      return provider.interactionFinished(request, response, result);
    }
    if (details.prompt.name === 'consent') {
      const consent = { grantId: await grantAll(provider, details) };
      return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
    }
    const [accountId, password] = [form.get('login') ?? '', form.get('password') ?? ''];
    const account = accounts[accountId];
    const isRight = account !== undefined && (account.password === undefined || account.password === password);
    if (!isRight) return show(request, response, 'The name or the password is wrong.');
    return provider.interactionFinished(request, response, { login: { accountId } });
  }
}

async function grantAll(provider: Provider, { grantId, session, params, prompt }: Interaction): Promise<string> {
  const known: Grant | undefined = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const fresh = { accountId: session?.accountId ?? '', clientId: String(params['client_id']) };
  const grant = known ?? new provider.Grant(fresh);
  const { missingOIDCScope: scopes, missingOIDCClaims: claims } = prompt.details as Record<
    string,
    string[] | undefined
  >;
  if (scopes !== undefined) grant.addOIDCScope(scopes.join(' '));
  if (claims !== undefined) grant.addOIDCClaims(claims);
  return grant.save();
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk);
    if (body.length > MAX_FORM_BYTES) throw new RangeError('a form is shorter');
  }
  return new URLSearchParams(body);
}

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
};

function loginPage(client: string, words: string): string {
  return page(
    'Sign in',
    `<p>to go on to ${client}</p><p role="alert">${words}</p><form method="post">
<input type="hidden" name="prompt" value="login">
<label>Name <input name="login" autofocus></label><label>Password <input name="password" type="password"></label>
<button>Sign in</button></form>`,
  );
}

function consentPage(client: string): string {
  return page(
    'Allow access?',
    `<p>${client} wants to know who you are.</p><form method="post">
<input type="hidden" name="prompt" value="consent"><button>Allow</button><button name="cancel" value="yes">Cancel</button></form>`,
  );
}

function button(form: string, label: string): string {
  return `<button form="${form}">${label}</button>`;
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style><h1>${title}</h1>${body}</html>`;
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
