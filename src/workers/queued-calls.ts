import type { WorkerCall, WorkerHandler } from "./host.js";
import type { StreamRunner } from "./stream-runner.js";

/**
 * The frames of a worker that takes its calls from `queue`: a new call is put in and `schedule` told; a cancelled one that waits
 * is taken out, and one that streams is ended.
 *
 * @param streams asked for when a frame arrives: the runner needs the host, and the host this handler
 */
export function queuedCalls(queue: WorkerCall[], schedule: () => void, streams: () => StreamRunner): WorkerHandler {
  return {
    onCall: (call) => {
      queue.push(call);
      schedule();
    },
    onCancel: (callId) => {
      const index = queue.findIndex(({ id }) => id === callId);
      if (index < 0) return streams().cancel(callId);
      queue.splice(index, 1);
      return true;
    },
    onPull: (callId) => streams().pull(callId),
  };
}
