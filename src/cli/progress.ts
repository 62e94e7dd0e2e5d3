import { Presets, SingleBar } from "cli-progress";
import type { OutputStream } from "./terminal.js";

/** Work whose end may move while it is being done. */
export interface Progress {
  /** @param detail - What is being worked on, one line. */
  update(done: number, total: number, detail: string): void;
  /** Removes the bar. Always to be called. */
  stop(): void;
}

/** Room for the bar, the numbers and the time; the rest of the line is for the detail. */
const FIXED_COLUMNS = 62;

/** A progress bar with `title`; shows nothing unless `stream` is a terminal. */
export function startProgress(title: string, stream: OutputStream): Progress {
  if (stream.isTTY !== true) return { update() {}, stop() {} };
  const bar = new SingleBar(
    {
      stream,
      format: `${title} {bar} {percentage}%  {value}/{total}  {duration_formatted}  {detail}`,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 100,
    },
    Presets.shades_classic,
  );
  return {
    update(done, total, detail) {
      // A bar of nothing would be full.
      if (total === 0) return;
      if (!bar.isActive) bar.start(total, done, { detail: "" });
      const room = Math.max(0, (stream.columns ?? 80) - FIXED_COLUMNS - title.length);
      bar.setTotal(total);
      bar.update(done, { detail: detail.length > room ? `…${detail.slice(1 - room)}`.slice(0, room) : detail });
    },
    stop: () => bar.stop(),
  };
}
