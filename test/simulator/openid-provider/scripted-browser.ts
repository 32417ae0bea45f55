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
export async function signIn(url: string, redirectUri: string, { login, root }: Visitor): Promise<URL> {
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
        if (target.href.startsWith(redirectUri)) return target;
        next = { url: target.href };
      } else next = { url: next.url, form: fill(page, login, reply.statusCode) };
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

function fill(page: string, login: string, status: number): string {
  const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
  if (prompt === undefined) throw new Error(`the provider showed a page without a form (status ${status})`);
  return new URLSearchParams(prompt === 'login' ? { prompt, login, password: 'anything' } : { prompt }).toString();
}
