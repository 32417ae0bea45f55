/**
 * The scripted browser as a program, for `--browser` and for shells: signs in at the address that it is given and goes where the provider
 * sends it back to. BROWSER_LOGIN: the account; BROWSER_ROOT: file with the root of the provider's TLS certificate.
 */
import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { signIn } from './scripted-browser.ts';

const { BROWSER_LOGIN: login = '', BROWSER_ROOT: rootFile = '' } = process.env;
const back = await signIn(process.argv[2] ?? '', 'http://', { login, root: await readFile(rootFile, 'utf8') });
const { statusCode, body } = await request(back);
process.stdout.write(`${statusCode} ${await body.text()}`);
