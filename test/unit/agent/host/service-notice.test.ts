/** Notices to systemd: their text (sd_notify(3)), the address of the socket, and the watchdog. */
import { describe, expect, test, vi } from 'vitest';
import { answerWatchdog, openServiceManager } from '#agent/host/service-notice.ts';
import { formatNotice, socketAddress } from '#protocol/service-notice.ts';

describe('the text of a notice', () => {
  test('has an assignment on each line', () => {
    expect(formatNotice({ ready: true, status: 'looking' })).toBe('READY=1\nSTATUS=looking');
    expect(formatNotice({ stopping: true, extendSeconds: 1.5 })).toBe('STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000');
    expect(formatNotice({ watchdog: true })).toBe('WATCHDOG=1');
  });

  test('keeps a status on its line, and bounds it', () => {
    expect(formatNotice({ status: 'a\nREADY=1\r\u0000b' })).toBe('STATUS=a READY=1 b');
    expect(formatNotice({ status: 'x'.repeat(10_000) })).toHaveLength('STATUS='.length + 512);
  });
});

describe('the address of the socket', () => {
  const family = [...new Uint8Array(Uint16Array.of(1).buffer)];

  test('is a path with its end, or an abstract name without one', () => {
    expect([...(socketAddress('/run/n') ?? [])]).toEqual([...family, ...Buffer.from('/run/n\0')]);
    expect([...(socketAddress('@n') ?? [])]).toEqual([...family, ...Buffer.from('\0n')]);
  });

  test.each(['', 'run/notify', 'vsock:2:1', '/a\0b', `/${'a'.repeat(107)}`])('is none for %j', (path) => {
    expect(socketAddress(path)).toBeUndefined();
  });

  test('may have 107 bytes', () => {
    expect(socketAddress(`/${'a'.repeat(106)}`)).toHaveLength(2 + 108);
  });
});

describe('the variables of the service manager', () => {
  test('are taken, so that programs that are started later do not have them', () => {
    const environment = {
      NOTIFY_SOCKET: '/run/nobody',
      WATCHDOG_USEC: '30000000',
      WATCHDOG_PID: `${process.pid}`,
      A: 'b',
    };
    expect(openServiceManager(environment)?.watchdogMs).toBe(30_000);
    expect(environment).toEqual({ A: 'b' });
  });

  test('mean nothing without a socket', () => {
    expect(openServiceManager({ WATCHDOG_USEC: '30000000' })).toBeUndefined();
  });

  test.each([{ WATCHDOG_PID: '1' }, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: 'x' }, { WATCHDOG_USEC: undefined }])(
    'ask for no watchdog: %o',
    (change) => {
      const environment = { NOTIFY_SOCKET: '/run/nobody', WATCHDOG_USEC: '30000000', ...change };
      expect(openServiceManager(environment)?.watchdogMs).toBeUndefined();
    },
  );
});

test('a notice that nobody takes is no fault', () => {
  expect(openServiceManager({ NOTIFY_SOCKET: '/nonexistent/notify' })?.notify({ ready: true })).toBe(false);
});

test('the watchdog hears from a daemon twice in its time, as long as all is well', () => {
  vi.useFakeTimers();
  try {
    const notify = vi.fn(() => true);
    let isWell = true;
    {
      using _watchdog = answerWatchdog({ watchdogMs: 10_000, notify }, () => isWell);
      vi.advanceTimersByTime(10_000);
      expect(notify.mock.calls).toEqual([[{ watchdog: true }], [{ watchdog: true }], [{ watchdog: true }]]);
      isWell = false;
      vi.advanceTimersByTime(60_000);
      expect(notify).toHaveBeenCalledTimes(3);
      isWell = true;
    }
    vi.advanceTimersByTime(60_000);
    expect(notify).toHaveBeenCalledTimes(3);
  } finally {
    vi.useRealTimers();
  }
});
