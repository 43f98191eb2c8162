// Decides when to send the drawing: one request at a time, with a pause between them. Answers to a drawing that was
// cleared since are dropped.

const PAUSE = 120; // milliseconds between two requests

export class Reader {
  #wanted = false;
  #control;
  #timer;
  #asked = -Infinity;

  /**
   * `read(signal)` asks; `show` gets what it gives and `fail` what it throws, unless that has been dropped; `fail` may say
   * in how many milliseconds to ask again. `busy` hears whether an answer is still to come.
   */
  constructor({ read, show, fail, busy }) {
    Object.assign(this, { read, show, fail, busy });
  }

  /** Requests that the drawing is sent, in `delay` milliseconds or as soon as the pause allows. */
  want(delay = 0) {
    this.#wanted = true;
    this.busy(true);
    this.#schedule(delay);
  }

  /** Cancels all requests so far. */
  drop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#control?.abort();
    this.#control = undefined;
    this.busy(false);
  }

  #schedule(delay) {
    if (this.#control) return; // the next request follows when the answer to this one has come
    clearTimeout(this.#timer);
    const wait = Math.max(delay, this.#asked + PAUSE - performance.now());
    if (wait > 0) this.#timer = setTimeout(() => this.#ask(), wait);
    else this.#ask();
  }

  async #ask() {
    const control = new AbortController();
    this.#control = control;
    this.#wanted = false;
    this.#asked = performance.now();
    const isDropped = () => control !== this.#control;
    let retry;
    try {
      const answer = await this.read(control.signal);
      if (!isDropped()) this.show(answer);
    } catch (error) {
      if (!isDropped()) retry = this.fail(error);
    }
    if (isDropped()) return;
    this.#control = undefined;
    if (retry !== undefined) this.want(retry);
    else if (this.#wanted) this.#schedule(0);
    else this.busy(false);
  }
}
