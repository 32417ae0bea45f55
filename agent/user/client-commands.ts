/** `countersign status` and `countersign approve`: the terminal as a face of the agent. */
import { type Interface, createInterface } from 'node:readline/promises';
import type { ControlQuestion } from '#protocol/control.ts';
import { answerQuestion, fetchState, watchStates } from '../control/control-client.ts';
import { chooseControlSocket } from './agent-choice.ts';
import { AgentFailure } from './agent-failure.ts';
import { promptText } from './prompt-text.ts';
import { formatStatus } from './status-text.ts';

export async function runStatus(options: { readonly socket?: string; readonly json?: boolean }): Promise<void> {
  const state = await fetchState(await chooseControlSocket(options.socket));
  process.stdout.write(
    options.json === true ? `${JSON.stringify(state, undefined, 2)}\n` : formatStatus(state, Date.now()),
  );
}

export interface ApproveOptions {
  readonly deny?: boolean;
  readonly watch?: boolean;
  readonly socket?: string;
}

/** The exit status: 1 when a question was denied. @throws AgentFailure */
export async function runApprove(id: string | undefined, options: ApproveOptions): Promise<number> {
  const socket = await chooseControlSocket(options.socket);
  if (options.watch === true) return watchQuestions(socket);
  const { questions } = await fetchState(socket);
  const question = questions.find((each) => each.id === id) ?? (id === undefined ? onlyOf(questions) : undefined);
  if (question === undefined) throw new AgentFailure('question-gone', 'no question of that name waits');
  process.stdout.write(`${promptText(question)}\n`);
  return tell(await answerQuestion(socket, question.id, options.deny !== true));
}

function onlyOf(questions: readonly ControlQuestion[]): ControlQuestion {
  const [only] = questions;
  if (only === undefined) throw new AgentFailure('question-gone', 'nothing waits for your consent');
  if (questions.length === 1) return only;
  throw new AgentFailure('question-gone', `${questions.length} questions wait`, {
    advice: 'See them with: countersign status, then answer one with: countersign approve ID',
  });
}

/** Until the agent ends, or the terminal is closed. */
async function watchQuestions(socket: string): Promise<number> {
  const closed = new AbortController();
  using terminal = createInterface({ input: process.stdin, output: process.stdout });
  terminal.once('close', () => closed.abort());
  try {
    await askEach(socket, terminal, closed.signal);
  } catch (error) {
    if (!closed.signal.aborted) throw error;
  }
  return 0;
}

async function askEach(socket: string, terminal: Interface, signal: AbortSignal): Promise<void> {
  const seen = new Set<string>();
  for await (const { questions } of watchStates(socket, signal)) {
    for (const question of questions.filter(({ id }) => !seen.has(id))) {
      seen.add(question.id);
      const answer = await terminal.question(`${promptText(question)} [y/N] `, { signal });
      await answerOrTell(socket, question, /^y(es)?$/i.test(answer.trim()));
    }
  }
}

/** A question that is gone by now is no reason to stop watching. */
async function answerOrTell(socket: string, question: ControlQuestion, allow: boolean): Promise<void> {
  try {
    tell(await answerQuestion(socket, question.id, allow));
  } catch (error) {
    if (!(error instanceof AgentFailure) || error.code !== 'question-gone') throw error;
    process.stdout.write(`${error.message}\n`);
  }
}

function tell(outcome: 'allowed' | 'denied'): number {
  process.stdout.write(`${outcome}\n`);
  return outcome === 'allowed' ? 0 : 1;
}
