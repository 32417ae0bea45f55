/** `countersign agent-service`: writes or removes the service file of the user's session, and says what to run next. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';
import { systemErrorReason } from '../../failure.ts';
import { AgentFailure } from '../agent-failure.ts';
import { defaultSocketPath } from '../socket-path.ts';
import { LAUNCHD_LABEL, type ProgramWords, SYSTEMD_UNIT_NAME, launchdPlist, systemdUnit } from './service-files.ts';

interface ServicePlan {
  readonly path: string;
  readonly text: string;
  readonly start: string;
  readonly stop: string;
}

export function runServiceCommand(action: 'install' | 'remove' | 'print'): void {
  const plan = planFor(process.platform);
  if (action === 'print') process.stdout.write(plan.text);
  else if (action === 'install') install(plan);
  else remove(plan);
}

function install({ path, text, start }: ServicePlan): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o644 });
  } catch (cause) {
    throw new AgentFailure('service-install', `${path} could not be written: ${systemErrorReason(cause)}`, { cause });
  }
  process.stdout.write(`Wrote ${path}. Start it, now and at each login:\n  ${start}\n`);
  process.stdout.write(`Let ssh use it, in ~/.ssh/config:\n  IdentityAgent ${defaultSocketPath()}\n`);
}

function remove({ path, stop }: ServicePlan): void {
  rmSync(path, { force: true });
  process.stdout.write(`Removed ${path}. If it still runs, end it:\n  ${stop}\n`);
}

function planFor(platform: NodeJS.Platform): ServicePlan {
  const program: ProgramWords = isSea() ? [process.execPath] : [process.execPath, process.argv[1] ?? ''];
  if (platform === 'linux') {
    const base = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
    return {
      path: join(base, 'systemd/user', SYSTEMD_UNIT_NAME),
      text: systemdUnit(program),
      start: `systemctl --user daemon-reload && systemctl --user enable --now ${SYSTEMD_UNIT_NAME}`,
      stop: `systemctl --user disable --now ${SYSTEMD_UNIT_NAME}`,
    };
  }
  if (platform === 'darwin') {
    const path = join(homedir(), 'Library/LaunchAgents', `${LAUNCHD_LABEL}.plist`);
    const domain = `gui/${process.getuid?.() ?? 0}`;
    return {
      path,
      text: launchdPlist(program),
      start: `launchctl bootstrap ${domain} ${path}`,
      stop: `launchctl bootout ${domain}/${LAUNCHD_LABEL}`,
    };
  }
  throw new AgentFailure('service-install', 'services are written for systemd and launchd only', {
    advice: 'Start it at login by other means: countersign agent',
  });
}
