/** `countersign keychain-helper`: one operation on the keychain, asked and answered over pipes. For the agent; not for people. */
import { Value } from 'typebox/value';
import { readableBytes } from '../readable-bytes.ts';
import { loadNativeCalls } from '../native-calls.ts';
import { type Keytar, loadKeytar } from './add-on.ts';
import { HelperRequest, type HelperReply, KEYCHAIN_SERVICE, MAX_MESSAGE_LENGTH } from './helper-protocol.ts';

export async function runKeychainHelper(): Promise<void> {
  const native = loadNativeCalls();
  native?.forbidCoreDumps();
  native?.hideMemory();
  const text = Buffer.from(await readableBytes(process.stdin, MAX_MESSAGE_LENGTH)).toString('utf8');
  process.stdout.write(JSON.stringify(await answer(text)));
}

async function answer(text: string): Promise<HelperReply> {
  const request: unknown = JSON.parse(text);
  if (!Value.Check(HelperRequest, request)) return { code: 'keychain-refused', reason: 'the request is none' };
  const keytar = loadKeytar();
  if (typeof keytar === 'string') return { code: 'keychain-missing', reason: keytar };
  try {
    return { items: await perform(keytar, request) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 200) : 'unknown';
    return { code: 'keychain-refused', reason: `the keychain of this desktop does not answer: ${reason}` };
  }
}

async function perform(keytar: Keytar, request: HelperRequest) {
  switch (request.operation) {
    case 'list': {
      const found = await keytar.findCredentials(KEYCHAIN_SERVICE);
      return found.map(({ account, password }) => ({ account, secret: password }));
    }
    case 'write':
      await keytar.setPassword(KEYCHAIN_SERVICE, request.account, request.secret);
      return [];
    case 'remove':
      await keytar.deletePassword(KEYCHAIN_SERVICE, request.account);
      return [];
  }
}
