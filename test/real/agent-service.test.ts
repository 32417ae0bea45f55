/** The service file of the user's session, judged by systemd itself. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { agentProgram } from '../support/programs.ts';
import { makeDirectory } from './agent-fixture.ts';

test('install writes a unit that systemd takes, remove removes it', async () => {
  using directory = makeDirectory();
  const [file, ...leading] = agentProgram();
  const env = { XDG_CONFIG_HOME: directory.path, XDG_RUNTIME_DIR: directory.path };
  const run = (action: string) => execa(file, [...leading, 'agent-service', action], { env });
  const unit = join(directory.path, 'systemd/user/countersign-agent.service');
  const installed = await run('install');
  expect(installed.stdout).toContain('systemctl --user');
  expect(installed.stdout).toContain(`IdentityAgent ${directory.path}/countersign/agent.sock`);
  const verified = await execa('systemd-analyze', ['verify', '--user', '--man=no', '--recursive-errors=no', unit], {
    env,
    reject: false,
  });
  expect({ status: verified.exitCode, complaints: verified.stderr }).toEqual({ status: 0, complaints: '' });
  await run('remove');
  expect(existsSync(unit)).toBe(false);
});
