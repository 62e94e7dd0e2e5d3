import { draining } from "../errors.js";

/** The calls that are open on all listeners, and whether further ones are taken. */
export class OpenCalls {
  #count = 0;
  #isDraining = false;
  #onNone: () => void = () => undefined;

  /** @throws DriverError `DRAINING` once `drain` was called; the call then does not count. */
  begin(): void {
    if (this.#isDraining) throw draining();
    this.#count++;
  }

  end(): void {
    this.#count--;
    if (this.#count === 0) this.#onNone();
  }

  /** From now on no call is taken; resolves when none is open any more, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#count === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onNone = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }
}
