/** What a person does at the provider's pages, without a browser: follows redirects, keeps cookies, fills in the login and consent forms. */
import { Agent, request } from 'undici';

const MAX_STEPS = 20;

export interface Visitor {
  /** The account's name, typed into the login form. */
  readonly login: string;
  /** PEM of the root of the provider. */
  readonly root: string;
}

/** Goes where `url` leads until the provider sends the visitor to `redirectUri`. @returns that address, with code and state */
export async function signIn(url: string, redirectUri: string, visitor: Visitor): Promise<URL> {
  const target = await visit(url, visitor, redirectUri);
  if (target === undefined) throw new Error('the provider showed a page without a form');
  return target;
}

/** Says yes to the code in `url` (`verification_uri_complete`), and signs in. */
export async function enterDeviceCode(url: string, visitor: Visitor): Promise<void> {
  await visit(url, visitor);
}

/** @returns the address below `redirectUri` that the provider led to; undefined at a page that asks for nothing */
async function visit(url: string, { login, root }: Visitor, redirectUri?: string): Promise<URL | undefined> {
  const agent = new Agent({ connect: { ca: root } });
  const cookies = new Map<string, string>();
  try {
    let next: { url: string; form?: string } = { url };
    for (let step = 0; step < MAX_STEPS; step++) {
      const reply = await request(next.url, {
        dispatcher: agent,
        method: next.form === undefined ? 'GET' : 'POST',
        headers: {
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(next.form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(next.form === undefined ? {} : { body: next.form }),
      });
      keepCookies(cookies, reply.headers['set-cookie']);
      const { location } = reply.headers;
      const page = await reply.body.text();
      if (typeof location === 'string') {
        const target = new URL(location, next.url);
        if (redirectUri !== undefined && target.href.startsWith(redirectUri)) return target;
        next = { url: target.href };
      } else {
        const form = fill(page, login);
        if (form === undefined) return undefined;
        next = { url: next.url, form };
      }
    }
    throw new Error('the provider never sent the visitor back');
  } finally {
    await agent.destroy();
  }
}

function keepCookies(cookies: Map<string, string>, header: string | string[] | undefined): void {
  for (const line of [header ?? []].flat()) {
    const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    if (value === '') cookies.delete(name);
    else cookies.set(name, value);
  }
}

/** The hidden fields as they are, and the account's name where it is asked for; undefined for a page without a form. */
function fill(page: string, login: string): string | undefined {
  const hidden = [...page.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/g)];
  if (hidden.length === 0) return undefined;
  const fields = new URLSearchParams(hidden.map(([, name = '', value = '']) => [name, value]));
  if (fields.get('prompt') === 'login') {
    fields.set('login', login);
    fields.set('password', 'anything');
  }
  return fields.toString();
}
