/** `countersign logout`: the session ends here, in the keychain and at the identity provider; certificates of the CA leave the agent with their keys. */
import type { ControlSignOutReply } from '#protocol/control.ts';
import { printable } from '../ca/foreign-text.ts';
import { signOut } from '../control/control-client.ts';
import { fingerprintsOf, requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { chooseAgent } from '../user/agent-choice.ts';
import { AgentKeys, type HeldCertificate } from '../user/login/agent-keys.ts';
import { LoginError } from '../user/login/login-error.ts';
import type { LogoutOptions } from './login.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';

type Ended = ControlSignOutReply['sessions'];

/** @returns exit status: 1 when a provider could not be told @throws LoginError `agent-refused`, AgentFailure, StateError */
export async function runLogout(options: LogoutOptions): Promise<number> {
  const authority = await requireAuthority(stateDirectoryPath(options.stateDir));
  const chosen = await chooseAgent(options.socket);
  using agent = new AgentKeys(chosen.socket);
  const cas = fingerprintsOf(authority.userCaKeys);
  const held = await agent.listOf(cas);
  const { sessions } = chosen.control === undefined ? { sessions: [] } : await signOut(chosen.control, {});
  await removeAll(agent, await agent.listOf(cas));
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ removed: held.length, sessions })}\n` : format(held.length, sessions),
  );
  return sessions.some(({ atProvider }) => atProvider === 'failed') ? EXIT_FAILED : EXIT_DONE;
}

async function removeAll(agent: AgentKeys, held: readonly HeldCertificate[]): Promise<void> {
  const kept = [];
  for (const each of held) if (!(await agent.remove(each))) kept.push(each);
  if (kept.length === 0) return;
  throw new LoginError('agent-refused', `the agent keeps ${kept.length} of ${held.length} certificates`, {
    advice: 'It may be locked (ssh-add -X), or hold them for another agent. See them with: ssh-add -l',
  });
}

function format(removed: number, sessions: Ended): string {
  const what = removed === 1 ? 'certificate with its key' : 'certificates with their keys';
  const lines = sessions.flatMap((each) => sentenceOf(each) ?? []);
  return `${[`Removed from the agent: ${removed} ${what}.`, ...lines].join('\n')}\n`;
}

function sentenceOf({ provisioner, atProvider, failure }: Ended[number]): string | undefined {
  const name = printable(provisioner, 64);
  switch (atProvider) {
    case 'revoked':
      return `${name}: the refresh token was revoked at the identity provider.`;
    case 'not-offered':
      return `${name}: the identity provider has no way to revoke the refresh token; it was forgotten here.`;
    case 'failed':
      return `${name}: the refresh token was forgotten here, but could not be revoked: ${failure?.message ?? ''} [${failure?.code ?? ''}]`;
    case 'no-token':
      return undefined;
  }
}
