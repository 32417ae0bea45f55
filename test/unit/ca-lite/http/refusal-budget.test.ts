import { describe, expect, it } from 'vitest';
import { REFUSALS_PER_MINUTE, RefusalBudget } from '#ca-lite/http/refusal-budget.ts';

function exhausted(requester: string, now = 0): RefusalBudget {
  const budget = new RefusalBudget();
  for (let i = 0; i < REFUSALS_PER_MINUTE; i++) budget.spend(requester, now);
  return budget;
}

describe('the budget of refusals', () => {
  it('asks a requester to wait once it is spent, and says when it was the last', () => {
    const budget = new RefusalBudget();
    const last = Array.from({ length: REFUSALS_PER_MINUTE + 5 }, () => budget.spend('10.0.0.1', 0));
    expect(last.filter(Boolean)).toHaveLength(1);
    expect(last.indexOf(true)).toBe(REFUSALS_PER_MINUTE - 1);
    expect(budget.waitSeconds('10.0.0.1', 0)).toBeGreaterThan(0);
  });

  it('leaves everybody else alone', () => {
    const budget = exhausted('10.0.0.1');
    expect(budget.waitSeconds('10.0.0.2', 0)).toBe(0);
  });

  it('refills with time, and not by a clock that is set back', () => {
    const budget = exhausted('10.0.0.1', 1_000_000);
    expect(budget.waitSeconds('10.0.0.1', 0)).toBeGreaterThan(0);
    expect(budget.waitSeconds('10.0.0.1', 1000)).toBe(0);
    expect(budget.waitSeconds('10.0.0.1', 10_000_000)).toBe(0);
  });

  it('counts the addresses of one IPv6 network together, however they are written', () => {
    const budget = exhausted('2001:db8:1:2::1');
    expect(budget.waitSeconds('2001:db8:1:2:ffff:ffff:ffff:ffff', 0)).toBeGreaterThan(0);
    expect(budget.waitSeconds('2001:0db8:0001:0002::abcd', 0)).toBeGreaterThan(0);
    expect(budget.waitSeconds('2001:db8:1:3::1', 0)).toBe(0);
    expect(exhausted('fe80::1%eth0').waitSeconds('fe80::2', 0)).toBeGreaterThan(0);
    expect(exhausted('::1').waitSeconds('1::', 0)).toBe(0);
  });

  it('remembers a bounded number of requesters', () => {
    const budget = exhausted('10.0.0.1');
    for (let i = 0; i < 20_000; i++) budget.spend(`10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`, 0);
    expect(budget.waitSeconds('10.0.0.1', 0)).toBe(0);
  });
});
