import { EventEmitter } from "node:events";

/** Whether the driver takes calls, and why not. */
export interface HealthStatus {
  readonly isServing: boolean;
  /** One phrase for people: `recovering`, `the disk failed`, … */
  readonly detail: string;
}

/** The health of the engine; emits `change` with the new status. */
export class EngineHealth extends EventEmitter<{ change: [HealthStatus] }> {
  #status: HealthStatus = { isServing: false, detail: "connecting to the database" };

  get status(): HealthStatus {
    return this.#status;
  }

  set(isServing: boolean, detail: string): void {
    this.#status = { isServing, detail };
    this.emit("change", this.#status);
  }
}
