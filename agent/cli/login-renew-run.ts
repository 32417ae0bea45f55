/** `countersign renew`: the certificates of the sign-ins, now. */
import type { ControlRenewReply, ControlState } from '#protocol/control.ts';
import { printable } from '../ca/foreign-text.ts';
import { fetchState, renewSessions } from '../control/control-client.ts';
import { chooseControlSocket } from '../user/agent-choice.ts';
import type { RenewOptions } from './login.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';

/** @returns exit status: 1 when one could not be renewed @throws AgentFailure `no-session`, `no-agent` */
export async function runRenew(options: RenewOptions): Promise<number> {
  const control = await chooseControlSocket(options.socket);
  const { provisioner } = options;
  const { sessions: results } = await renewSessions(control, provisioner === undefined ? {} : { provisioner });
  const { signIn } = await fetchState(control);
  const text = options.json === true ? `${JSON.stringify({ sessions: results }, null, 2)}\n` : format(results, signIn);
  process.stdout.write(text);
  return results.every(({ renewed }) => renewed) ? EXIT_DONE : EXIT_FAILED;
}

function format(results: ControlRenewReply['sessions'], { sessions }: ControlState['signIn']): string {
  const lines = results.map(({ id, renewed, failure }) => {
    const session = sessions.find((each) => each.id === id);
    const name = printable(session?.provisioner ?? id, 64);
    if (!renewed) return [`${name}: not renewed: ${failure?.message ?? ''} [${failure?.code ?? ''}]`, failure?.advice];
    const end = session?.certificate?.expiresAt;
    return [
      `${name}: renewed${end === undefined ? '' : `, until ${new Date(end).toISOString().replace('.000Z', 'Z')}`}`,
    ];
  });
  return lines
    .flat()
    .map((line) => (line === undefined ? '' : `${line}\n`))
    .join('');
}
