/** When the CA gives signs of life to systemd, and when it does not. */
import { describe, expect, test, vi } from 'vitest';
import { giveSignsOfLife, openServiceManager, storeAnswers } from '#ca-lite/serve/service-notice.ts';
import { StoreError, type StoreErrorCode } from '#ca-lite/store/errors.ts';

test('without a manager nobody is told, and nothing is watched', () => {
  const manager = openServiceManager({ WATCHDOG_USEC: '30000000' });
  expect(manager.watchdogMs).toBeUndefined();
  manager.notify({ ready: true });
});

test('its variables are taken, so that programs that are started later do not have them', () => {
  const environment = { NOTIFY_SOCKET: '/nonexistent/notify', WATCHDOG_USEC: '30000000', A: 'b' };
  const manager = openServiceManager(environment);
  expect(manager.watchdogMs).toBe(30_000);
  expect(environment).toEqual({ A: 'b' });
  manager.notify({ ready: true }); // a notice that nobody takes is no fault
});

test('three signs in the time that the manager allows, none while the answer is no or outstanding', async () => {
  vi.useFakeTimers();
  try {
    const notify = vi.fn();
    const isAlive = vi.fn(async () => true);
    {
      using _signs = giveSignsOfLife({ watchdogMs: 30_000, notify }, isAlive);
      await vi.advanceTimersByTimeAsync(30_000);
      expect(notify.mock.calls).toEqual([1, 2, 3, 4].map(() => [{ watchdog: true }]));
      isAlive.mockResolvedValueOnce(false);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(notify).toHaveBeenCalledTimes(4);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      isAlive.mockReturnValueOnce(promise);
      await vi.advanceTimersByTimeAsync(600_000);
      expect(notify).toHaveBeenCalledTimes(4);
      expect(isAlive).toHaveBeenCalledTimes(6);
      resolve(true);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(notify).toHaveBeenCalledTimes(6);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notify).toHaveBeenCalledTimes(6);
  } finally {
    vi.useRealTimers();
  }
});

describe('the store answers', () => {
  const failing = (code: StoreErrorCode) => ({ prune: () => Promise.reject(new StoreError(code, '')) });

  test('when it decides', async () => {
    const prune = vi.fn(async () => ({ removed: 0n, more: false }));
    expect(await storeAnswers({ prune }, 1_000_000n)).toBe(true);
    expect(prune).toHaveBeenCalledWith({ now: 1_000_000n, leewaySeconds: 1_000_000n, limit: 1 });
  });

  test.each(['store-full', 'store-busy', 'store-io', 'store-read-only'] as const)('with %s', async (code) => {
    expect(await storeAnswers(failing(code), 1n)).toBe(true);
  });

  test.each(['store-failed', 'store-closed'] as const)('not with %s', async (code) => {
    expect(await storeAnswers(failing(code), 1n)).toBe(false);
  });
});
