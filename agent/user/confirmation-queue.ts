/**
 * The questions that wait for the user's consent. The daemon owns them: a face that dies loses none, one that comes back
 * sees them again. The first answer counts; nobody answering in time is a no.
 * Decides only: time and wake-ups come from outside.
 */
import type { ControlQuestion } from '#protocol/control.ts';
import type { Moment } from './moment.ts';

/** Enough for a person; a flood is denied instead of queued. */
export const MAX_QUESTIONS = 64;

export type Consent = 'allowed' | 'denied';
export type QuestionSubject = Omit<ControlQuestion, 'id' | 'askedAt' | 'deadline'>;

interface Waiting {
  readonly question: ControlQuestion;
  readonly deadlineMonotonicMs: number;
  readonly settle: (consent: Consent) => void;
}

export class ConfirmationQueue {
  readonly #waiting = new Map<string, Waiting>();
  readonly #timeoutMs: number;
  readonly #onChange: () => void;

  constructor(timeoutMs: number, onChange: () => void = () => undefined) {
    this.#timeoutMs = timeoutMs;
    this.#onChange = onChange;
  }

  /** The oldest first. */
  get questions(): readonly ControlQuestion[] {
    return [...this.#waiting.values()].map(({ question }) => question);
  }

  /**
   * Puts a question. `settle` is called exactly once; at once with `denied` when too many wait.
   * @param id fresh and unguessable
   */
  ask(id: string, subject: QuestionSubject, now: Moment, settle: (consent: Consent) => void): ControlQuestion {
    const question = { id, askedAt: now.epochMs, deadline: now.epochMs + this.#timeoutMs, ...subject };
    if (this.#waiting.size >= MAX_QUESTIONS) {
      settle('denied');
      return question;
    }
    this.#waiting.set(id, { question, deadlineMonotonicMs: now.monotonicMs + this.#timeoutMs, settle });
    this.#onChange();
    return question;
  }

  /** False when the question is not, or no longer, there. */
  answer(id: string, consent: Consent): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    this.#waiting.delete(id);
    this.#onChange();
    waiting.settle(consent);
    return true;
  }

  /** Denies what nobody answered in time. */
  expire(now: Moment): void {
    for (const [id, { deadlineMonotonicMs }] of this.#waiting) {
      if (now.monotonicMs >= deadlineMonotonicMs) this.answer(id, 'denied');
    }
  }

  /** Milliseconds until the next deadline; Infinity when nothing waits. */
  msToNextDeadline(now: Moment): number {
    const deadlines = [...this.#waiting.values()].map((each) => each.deadlineMonotonicMs - now.monotonicMs);
    return Math.max(0, Math.min(Infinity, ...deadlines));
  }
}
