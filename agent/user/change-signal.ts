/** Tells whoever listens that something of the agent's state changed; several changes in one turn are told once. */
export class ChangeSignal {
  readonly #listeners = new Set<() => void>();
  #isPending = false;

  readonly notify = (): void => {
    if (this.#isPending || this.#listeners.size === 0) return;
    this.#isPending = true;
    queueMicrotask(() => {
      this.#isPending = false;
      for (const listener of this.#listeners) listener();
    });
  };

  /** Dispose to stop listening. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
