/** The agent and the ssh configuration: what it leaves alone, and that nothing of it is a fault of the agent. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FreshSshConfig } from '#agent/user/ssh-config/keep-fresh.ts';
import { installSshConfig, sshConfigPlaces } from '#agent/user/ssh-config/ssh-config-files.ts';
import { formatInclude } from '#agent/user/ssh-config/ssh-config-text.ts';

const keyLine = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';
const socket = '/run/agent.sock';
let directory: string;
let faults: unknown[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-fresh-'));
  faults = [];
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

async function install(agentSocket: string): Promise<string> {
  const places = sshConfigPlaces(directory);
  const knownHosts = `@cert-authority * ${keyLine} countersign ca.example:8443\n`;
  await installSshConfig(places, {
    include: formatInclude({ agentSocket, knownHosts: places.knownHosts }),
    knownHosts,
  });
  return places.knownHosts;
}

/** Started, and at the end of its first look. */
async function firstLook(): Promise<FreshSshConfig> {
  const parts = { sshDirectory: directory, socket, stateDirectory: join(directory, 'none') };
  const fresh = new FreshSshConfig({ ...parts, notify: () => {}, report: (fault) => faults.push(fault) });
  fresh.start();
  await fresh.idle();
  return fresh;
}

/** What a look needs is loaded by the first one, which takes a busy machine its time. */
const patience = { timeout: 90_000 };

it('does nothing where nothing is installed, or another agent is named', patience, async () => {
  await using first = await firstLook();
  expect(first.describe()).toBeUndefined();
  await install('/run/other.sock');
  await using second = await firstLook();
  expect(second.describe()).toBeUndefined();
  expect(faults).toEqual([]);
});

it('tells of a failure, leaves the files, and forgets it when they are gone', patience, async () => {
  const knownHosts = await install(socket);
  const before = await readFile(knownHosts);
  await using fresh = await firstLook();
  expect(fresh.describe()).toMatchObject({ remarks: [], failure: { code: 'not-bootstrapped' } });
  expect(await readFile(knownHosts)).toEqual(before);
  await rm(join(directory, 'countersign'), { recursive: true });
  fresh.look();
  await fresh.idle();
  expect(fresh.describe()).toBeUndefined();
  expect(faults).toEqual([]);
});
