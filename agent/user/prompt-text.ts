/** One question to the user in words, for a dialogue or a terminal. */
import type { ControlQuestion } from '#protocol/control.ts';

export function promptText(question: ControlQuestion): string {
  const { key, user, host, forwarded, program, namespace } = question;
  const where = host === undefined ? '' : ` on ${host.names[0] ?? host.fingerprint}`;
  const uses = {
    login: `to log in as ${user ?? 'a user'}${where}`,
    file: `to sign a file (${namespace ?? 'no namespace'})`,
    unknown: 'to sign bytes of an unknown form',
  };
  const lines = [
    `Allow use of key ${key.comment || key.kind} ${uses[question.purpose]}?`,
    `Key fingerprint ${key.fingerprint}.`,
    forwarded ? 'The request comes from another machine, through agent forwarding.' : '',
    program === undefined ? '' : `Asked by ${program.name} (process ${program.pid}).`,
  ];
  return lines.filter((line) => line !== '').join('\n');
}
