/** `countersign logout`: what it does. */
import { fingerprintsOf, requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { AgentKeys, findAgentSocket } from '../user/login/agent-keys.ts';
import { LoginError } from '../user/login/login-error.ts';
import type { LogoutOptions } from './login.ts';

/** @throws LoginError `agent-refused`, AgentFailure, StateError */
export async function runLogout(options: LogoutOptions): Promise<void> {
  const authority = await requireAuthority(stateDirectoryPath(options.stateDir));
  using agent = new AgentKeys(await findAgentSocket(options.socket));
  const held = await agent.listOf(fingerprintsOf(authority.userCaKeys));
  const kept = [];
  for (const each of held) if (!(await agent.remove(each))) kept.push(each);
  if (kept.length > 0) {
    throw new LoginError('agent-refused', `the agent keeps ${kept.length} of ${held.length} certificates`, {
      advice: 'It may be locked (ssh-add -X), or hold them for another agent. See them with: ssh-add -l',
    });
  }
  const { length } = held;
  const text = `Removed from the agent: ${length} ${length === 1 ? 'certificate with its key' : 'certificates with their keys'}.\n`;
  process.stdout.write(options.json === true ? `${JSON.stringify({ removed: length })}\n` : text);
}
