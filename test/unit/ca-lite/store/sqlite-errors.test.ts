import { describe, expect, test } from 'vitest';
import { StoreError } from '#ca-lite/store/errors.ts';
import { faultOf } from '#ca-lite/store/sqlite-errors.ts';

const engine = (errcode: number) => Object.assign(new Error('text that may change'), { errcode });
const roomy = () => 2 ** 30;

describe('a fault of SQLite', () => {
  test.for([
    [5, 'store-busy'],
    [261, 'store-busy'], // BUSY_RECOVERY
    [517, 'store-busy'], // BUSY_SNAPSHOT
    [6, 'store-busy'],
    [7, 'store-failed'],
    [8, 'store-read-only'],
    [1032, 'store-read-only'], // READONLY_DBMOVED
    [10, 'store-io'],
    [778, 'store-io'], // IOERR_WRITE
    [4874, 'store-full'], // IOERR_SHMSIZE
    [11, 'store-corrupt'],
    [13, 'store-full'],
    [14, 'store-io'],
    [26, 'store-corrupt'],
  ] as const)('%i is %s', ([errcode, code]) => {
    const fault = faultOf(engine(errcode), roomy);
    expect(fault).toBeInstanceOf(StoreError);
    expect(fault?.code).toBe(code);
    expect(fault?.message).not.toContain('text that may change');
  });

  test('in writing, with no room left, is a full disk', () => {
    expect(faultOf(engine(778), () => 4096)?.code).toBe('store-full');
    expect(faultOf(engine(1034), () => 0)?.code).toBe('store-full');
  });

  test('does not include a violated constraint, nor what is no error of SQLite', () => {
    for (const other of [
      engine(19),
      engine(2067),
      engine(1811),
      engine(1),
      new Error('x'),
      new TypeError('x'),
      'x',
      undefined,
    ]) {
      expect(faultOf(other, roomy)).toBeUndefined();
    }
  });
});

describe('an error of the store', () => {
  test('keeps class and code across threads', () => {
    const error = new StoreError('store-full', 'The disk of the store is full.');
    const revived = StoreError.revive(structuredClone(error.toFault()));
    expect(revived).toBeInstanceOf(StoreError);
    expect(revived).toMatchObject({ name: 'StoreError', code: 'store-full', message: error.message });
  });
});
