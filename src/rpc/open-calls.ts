import { type DriverError, draining } from "../errors.js";

/** Ends a call from outside. */
export type Interrupt = (error: DriverError) => void;

/** The calls that are open on all listeners, and whether further ones are taken. */
export class OpenCalls {
  #count = 0;
  readonly #interrupts = new Set<Interrupt>();
  #isDraining = false;
  #onNone: () => void = () => undefined;

  /**
   * @param interrupt - Set for a call that ends when its client likes: `drain` does not wait for it but interrupts it.
   * @returns what must be called once, when the call has ended
   * @throws DriverError `DRAINING` once `drain` was called
   */
  begin(interrupt?: Interrupt): () => void {
    if (this.#isDraining) throw draining();
    if (interrupt !== undefined) {
      this.#interrupts.add(interrupt);
      return () => this.#interrupts.delete(interrupt);
    }
    this.#count++;
    return this.#end;
  }

  /** From now on no call is taken; resolves when none is open any more, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    for (const interrupt of this.#interrupts) interrupt(draining());
    if (this.#count === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onNone = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }

  /** One for all calls: there are many. */
  readonly #end = (): void => {
    this.#count--;
    if (this.#count === 0) this.#onNone();
  };
}
