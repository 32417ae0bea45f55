/** What is particular to the store on SQLite: the file, who may open it, and that "durable" means flushed. */
import { chmod, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { openSqliteReader, openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { intent, note, now, result, token } from '../contract/store-requests.ts';
import { change, integrityOf, makeSqliteHome, pagesOf } from './store-sqlite-home.ts';

const programNamed = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const writerProgram = programNamed('./store-writer-program.ts');
const openingProgram = programNamed('./store-opening-program.ts');

const openings = [
  ['the server', (path: string) => openSqliteStore({ path, role: 'server' })],
  ['a command that writes', (path: string) => openSqliteStore({ path, role: 'administrator' })],
  ['a command that reads', (path: string) => openSqliteReader(path)],
] as const;

describe.for(openings)('%s refuses', ([, openIt]) => {
  test('a store that is not there, and makes none', async () => {
    await using home = await makeSqliteHome();
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-missing' });
    await expect(stat(home.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('an empty file', async () => {
    await using home = await makeSqliteHome();
    await writeFile(home.path, '', { mode: 0o600 });
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-foreign' });
  });

  test('a database of something else, and leaves it as it was', async () => {
    await using home = await makeSqliteHome();
    change(home.path, 'CREATE TABLE notes (text)');
    await chmod(home.path, 0o600);
    const before = await readFile(home.path);
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-foreign' });
    expect(await readFile(home.path)).toEqual(before);
  });

  test('a directory', async () => {
    await using home = await makeSqliteHome();
    await expect(openIt(home.directory)).rejects.toMatchObject({ code: 'store-foreign' });
  });

  test('a file that is no database', async () => {
    await using home = await makeSqliteHome();
    await writeFile(home.path, 'not a database '.repeat(1000), { mode: 0o600 });
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-corrupt' });
  });

  test('a newer schema, and leaves it as it was', async () => {
    await using home = await makeSqliteHome();
    await (await home.open()).close();
    change(home.path, 'PRAGMA user_version = 1000');
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-newer' });
    await expect(openIt(home.path)).rejects.toThrow(/newer/);
  });

  test('a file that others may write', async () => {
    await using home = await makeSqliteHome();
    await (await home.open()).close();
    await chmod(home.path, 0o620);
    await expect(openIt(home.path)).rejects.toMatchObject({ code: 'store-exposed' });
  });
});

test('refuses a second server, names the first, and lets it in when that one is gone', async () => {
  await using home = await makeSqliteHome();
  const first = await home.open();
  await expect(home.open()).rejects.toMatchObject({ code: 'store-locked' });
  await expect(home.open()).rejects.toThrow(`process ${process.pid}`);
  const other = await execa(process.execPath, [writerProgram, home.path, 'server', '1', '1'], { reject: false });
  expect(other.stderr).toContain('store-locked');
  expect(other.stdout).toBe('');
  await first.close();
  await (await home.open()).close();
});

test('lets another process write beside the server', async () => {
  await using home = await makeSqliteHome();
  await using server = await home.open();
  const issuing = execa(process.execPath, [writerProgram, home.path, 'administrator', '1001', '50']);
  for (let serial = 1n; serial <= 50n; serial += 1n) await server.recordIntent(intent(serial));
  await issuing;
  expect((await server.counts()).certificates.host).toEqual({ intended: 50n, issued: 50n, abandoned: 0n });
});

test('a server does not go on beside a schema that was changed beneath it', async () => {
  await using home = await makeSqliteHome();
  await using store = await home.open();
  change(home.path, 'PRAGMA user_version = 1000');
  await expect(store.recordIntent(intent(1n))).rejects.toMatchObject({ code: 'store-newer' });
});

test('waits for another writer, and says so when that takes too long', { timeout: 60_000 }, async () => {
  await using home = await makeSqliteHome();
  await using store = await home.open();
  const { DatabaseSync } = await import('node:sqlite');
  using other = new DatabaseSync(home.path);
  other.exec('BEGIN IMMEDIATE');
  const waiting = store.recordIntent(intent(1n));
  await expect(waiting).rejects.toMatchObject({ code: 'store-busy' });
  expect(await store.certificate(1n)).toBeNull();
  other.exec('ROLLBACK');
  expect(await store.recordIntent(intent(1n))).toMatchObject({ accepted: true });
});

test('keeps its files from others', async () => {
  await using home = await makeSqliteHome();
  await using store = await home.open();
  await store.recordIntent(intent(1n));
  await store.backup(home.newPath('backup'));
  for (const suffix of ['store.sqlite', 'store.sqlite-wal', 'store.sqlite-shm', 'store.sqlite-server', 'backup']) {
    expect((await stat(join(home.directory, suffix))).mode & 0o777, suffix).toBe(0o600);
  }
});

test('a file or directory without write permission can be read but not written', async () => {
  await using home = await makeSqliteHome();
  await using store = await home.open();
  await store.recordIntent(intent(1n));
  await chmod(home.directory, 0o755);
  for (const suffix of ['', '-wal', '-shm']) await chmod(`${home.path}${suffix}`, 0o444);
  const { stdout } = await execa(process.execPath, [openingProgram, home.path]);
  expect(JSON.parse(stdout)).toEqual({ write: 'store-read-only', read: 'intended' });
  expect((await store.counts()).certificates.host.intended).toBe(1n);
});

test('says that a damaged file is damaged, and keeps working on what is whole', async () => {
  await using home = await makeSqliteHome();
  {
    await using store = await home.open();
    for (let serial = 1n; serial <= 200n; serial += 1n) await store.recordIntent(intent(serial));
  }
  const pages = pagesOf(home.path, 'certificates');
  const file = await open(home.path, 'r+');
  for (const page of pages) await file.write(Buffer.alloc(4096, 0xa5), 0, 4096, (page - 1) * 4096);
  await file.close();
  await using store = await home.open();
  const outcomes = await Promise.allSettled([
    store.recordIntent(intent(500n)),
    store.certificates({}, { limit: 1000 }),
    store.backup(home.newPath('backup')),
  ]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'store-corrupt' } });
  await expect(stat(home.newPath('backup'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect((await store.auditHead()).count).toBe(200n);
});

test('a backup that fails leaves no file, one that succeeds is a whole store', async () => {
  await using home = await makeSqliteHome();
  await using store = await home.open();
  await store.recordIntent(intent(1n));
  await expect(store.backup('/proc/no-such-place/backup')).rejects.toMatchObject({ code: 'store-io' });
  const path = home.newPath('backup');
  await store.backup(path);
  expect(integrityOf(path)).toBe('ok');
  await expect(stat(`${path}.partial`)).rejects.toMatchObject({ code: 'ENOENT' });
  await using restored = await openSqliteStore({ path, role: 'server' });
  expect(await restored.recordResult(result(1n))).toMatchObject({ accepted: true });
  const used = { token: token('t'), audit: note('token-use') };
  expect(await restored.consumeToken(used)).toMatchObject({ accepted: true });
  expect((await restored.certificate(1n))?.finishedAt).toBe(now + 1n);
});

test('has flushed what it acknowledges: after each write to the log comes a flush, before the word', async () => {
  await using home = await makeSqliteHome();
  const trace = home.newPath('trace');
  const program = [process.execPath, writerProgram, home.path, 'server', '1', '25'];
  const calls = 'trace=pwrite64,fdatasync,fsync,write';
  await execa('strace', ['-f', '-y', '-qq', '-s', '16', '-e', calls, '-o', trace, ...program]);
  let flushed = true;
  let flushes = 0;
  const acknowledged: { readonly line: string; readonly flushed: boolean; readonly flushes: number }[] = [];
  let syncing = '';
  for (const line of (await readFile(trace, 'utf8')).split('\n')) {
    const [thread = ''] = line.split(' ');
    if (/pwrite64\(\d+<[^>]*-wal>/.test(line)) flushed = false;
    if (/f(data)?sync\(\d+<[^>]*-wal>/.test(line)) syncing = thread;
    if (syncing === thread && /f(data)?sync.*= 0$/.test(line)) [flushed, flushes, syncing] = [true, flushes + 1, ''];
    const said = /write\(1<[^>]*>, "([IR] \d+)\\n"/.exec(line)?.[1];
    if (said !== undefined) acknowledged.push({ line: said, flushed, flushes });
  }
  expect(acknowledged).toHaveLength(50);
  for (const [index, { line, flushed, flushes }] of acknowledged.entries()) {
    expect(flushed, line).toBe(true);
    expect(flushes, line).toBeGreaterThanOrEqual(index + 1);
  }
});
