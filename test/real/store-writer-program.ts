/**
 * Issues certificates and says on stdout what was acknowledged, each as a line of its own: `I 12` for an intent, `R 12`
 * for a result. (Node writes to a pipe at once, so a line that was written is not lost.) With a COUNT one caller issues
 * that many, without it eight callers go on until they are killed.
 *
 *   node store-writer-program.ts PATH server|administrator FIRST-SERIAL [COUNT]
 */
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { intent, result, token } from '../contract/store-requests.ts';

const [path, role, first, count] = process.argv.slice(2);
if (path === undefined || first === undefined || (role !== 'server' && role !== 'administrator')) process.exit(2);

await using store = await openSqliteStore({ path, role, create: true });
let next = BigInt(first);
const end = count === undefined ? undefined : next + BigInt(count);

async function issue(): Promise<void> {
  while (next !== end) {
    const serial = next;
    next += 1n;
    await store.recordIntent(intent(serial, { token: token(`token ${serial}`) }));
    process.stdout.write(`I ${serial}\n`);
    await store.recordResult(result(serial));
    process.stdout.write(`R ${serial}\n`);
  }
}

await Promise.all(Array.from({ length: end === undefined ? 8 : 1 }, issue));
