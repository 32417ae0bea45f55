/** A host back after months, and a host whose disk was copied, under each policy (docs/lineage.md): with real sshds, dialled back and judged by ssh. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DAY, type RecordedHost, Town } from './host-on-record.ts';

let town: Town;
beforeAll(async () => {
  town = await Town.open();
});
afterAll(async () => town?.[Symbol.asyncDispose]());

const strict = { allow_after_expiry: false, require_dial_back: false, heal_by_dial_back: false };

/** Enrolled 400 days ago and away since; its certificate was good for 30. */
async function longAway(): Promise<RecordedHost> {
  town.setBack(400n * DAY);
  const host = await town.enrol();
  expect(await host.report()).toBe('ok');
  town.setToPresent();
  return host;
}

describe('back after 400 days', () => {
  beforeEach(async () => town.configure({ renewal: strict }));

  test('policy is off: refused with the command, and that command lets it, once', async () => {
    const host = await longAway();
    expect(await host.renew()).toBe('renewal-expired');
    const command = /countersign-ca (grant --lineage [0-9a-f]{16} --for 24h)/.exec(host.lastMessage)?.[1];
    expect(await town.command(...(command ?? 'no command').split(' '))).toContain('may renew after expiry, once');
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    await host.expectBelieved();
    town.ca.now += 31n * DAY;
    expect(await host.renew()).toBe('renewal-expired');
  });

  test('policy is on: it simply works', async () => {
    await town.configure({ renewal: { allow_after_expiry: true } });
    const host = await longAway();
    expect(await host.renew()).toBe('ok');
    await host.expectBelieved();
  });

  test('beyond the maximum age only by leave', async () => {
    await town.configure({ renewal: { allow_after_expiry: true, max_age: '300d' } });
    const host = await longAway();
    expect(await host.renew()).toBe('renewal-expired');
    await town.command('grant', '--host', host.name);
    expect(await host.renew()).toBe('ok');
    await town.configure({ renewal: { allow_after_expiry: true, max_age: '371d' } });
    const other = await longAway();
    expect(await other.renew()).toBe('ok');
    await other.expectBelieved();
  });

  test('with a dial-back: the key is proven again, or why not is told', async () => {
    await town.configure({ renewal: { allow_after_expiry: true, max_age: '1000d', require_dial_back: true } });
    const [there, gone] = [await longAway(), await longAway()];
    expect(await there.renew()).toBe('ok');
    await there.expectBelieved();

    await gone.sshd[Symbol.asyncDispose]();
    expect(await gone.renew()).toBe('renewal-expired');
    expect(gone.lastMessage).toContain('dial-back');
    expect(gone.lastMessage).toContain('countersign-ca grant --lineage');
    await town.command('grant', '--lineage', await gone.lineage());
    expect(await gone.renew()).toBe('ok');
  });

  test('with a dial-back: a machine that took over the address does not stand in', async () => {
    await town.configure({ renewal: { allow_after_expiry: true, max_age: '1000d', require_dial_back: true } });
    const host = await longAway();
    await using elsewhere = await town.copy(host);
    await host.sshd[Symbol.asyncDispose]();
    expect(await elsewhere.renew()).toBe('renewal-expired');
  });
});

describe('a copied disk', () => {
  beforeEach(async () => town.configure({ renewal: strict }));

  /** The host goes on, and the copy shows what it was made from. */
  async function copied(): Promise<{ readonly host: RecordedHost; readonly copy: RecordedHost }> {
    town.setBack(10n * DAY);
    const host = await town.enrol();
    const copy = await town.copy(host);
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    town.setToPresent();
    return { host, copy };
  }

  test('is found, both sides are shown, and one action ends it', async () => {
    const { host, copy } = await copied();
    expect(await copy.renew()).toBe('lineage-quarantined');
    expect(await host.renew()).toBe('lineage-quarantined');
    expect(await host.report()).toBe('lineage-quarantined');
    const lineage = await host.lineage();
    const shown = await town.command('lineage', lineage);
    for (const { serial, address } of [host, copy])
      expect(shown).toMatch(new RegExp(`${serial}\\s+${address.replaceAll('.', '\\.')}\\s`));
    await host.expectBelieved(); // it works on meanwhile
    await town.command('lineage', 'resolve', lineage, '--keep', String(host.serial));
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    expect(await copy.renew()).toBe('renewal-revoked');
    await host.expectBelieved();
  });

  test('heals by itself where a dial-back tells the host from its copy', async () => {
    await town.configure({ renewal: { heal_by_dial_back: true } });
    const { host, copy } = await copied();
    expect(await copy.renew()).toBe('lineage-quarantined');
    expect(await copy.renew()).toBe('lineage-quarantined');
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    expect(await copy.renew()).toBe('renewal-revoked');
    const [entry] = (await town.ca.store.audit({ action: 'lineage-resolve' }, { limit: 1 })).items;
    expect(entry).toMatchObject({ outcome: 'allowed', subject: { actor: 'dial-back', name: host.name } });
    await host.expectBelieved();
  });

  test('heals also when the copy was faster: what it got is revoked', async () => {
    await town.configure({ renewal: { heal_by_dial_back: true } });
    town.setBack(10n * DAY);
    const host = await town.enrol();
    await using copy = await town.copy(host);
    expect(await copy.renew()).toBe('ok');
    expect(await copy.report()).toBe('ok');
    town.setToPresent();
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    expect(await copy.renew()).toBe('renewal-revoked');
    await host.expectBelieved();
  });

  test('stays with the administrator while the host does not answer, or when both come from its address', async () => {
    await town.configure({ renewal: { heal_by_dial_back: true } });
    const silent = await copied();
    expect(await silent.copy.renew()).toBe('lineage-quarantined');
    await silent.host.sshd[Symbol.asyncDispose]();
    expect(await silent.host.renew()).toBe('lineage-quarantined');

    const { host } = await copied();
    const { certificate } = host;
    expect(await host.renew()).toBe('ok');
    expect(await host.report()).toBe('ok');
    town.ca.now += 1000n;
    host.certificate = certificate; // a restored backup
    expect(await host.renew()).toBe('lineage-quarantined');
    expect(await host.renew()).toBe('lineage-quarantined');
  });
});
