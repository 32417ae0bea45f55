/** The systemd units of the host agent: systemd finds nothing wrong with them, and what they take away is not needed. */
import { copyFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { runAgent } from './host-agent-fixture.ts';
import { serialOf, startRenewalHost } from './host-renewal-fixture.ts';

const units = join(import.meta.dirname, '../../agent/host/service');
const names = await readdir(units);

test.each(names)('systemd-analyze has nothing to say about %s', async (name) => {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-units-'));
  try {
    for (const each of names) await copyFile(join(units, each), join(directory, each));
    const text = await readFile(join(units, name), 'utf8');
    await writeFile(join(directory, name), text.replace('ExecStart=countersign', `ExecStart=${process.execPath}`));
    const env = { SYSTEMD_UNIT_PATH: `${directory}:` };
    const { exitCode, stderr } = await execa('systemd-analyze', ['verify', '--man=no', join(directory, name)], {
      env,
      reject: false,
    });
    expect(stderr).not.toContain(name);
    expect(exitCode).toBe(0);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test.each(['countersign-host.service', 'countersign-host-renew.service'])(
  'the capabilities of %s are enough for a renewal',
  async (name) => {
    const unit = await readFile(join(units, name), 'utf8');
    const allowed = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    expect(allowed.length).toBeGreaterThan(0);
    const set = ['-all', ...allowed.map((one) => `+${one.replace('CAP_', '').toLowerCase()}`)].join(',');
    const wrap =
      process.getuid?.() === 0 ? ['setpriv', '--no-new-privs', `--bounding-set=${set}`] : ['setpriv', '--no-new-privs'];
    await using host = await startRenewalHost();
    const before = (await host.served()).map(serialOf);
    const { status, stderr } = await runAgent(['host', 'renew', '--force', ...host.places], wrap);
    expect(status, stderr).toBe(0);
    expect((await host.served()).map(serialOf)).not.toEqual(before);
  },
);
