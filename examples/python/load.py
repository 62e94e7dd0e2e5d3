"""Indexes and writes, 16 calls at a time: `python load.py SECONDS PROJECT WRITER FILE…`."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from driver import connect
from code_analysis.driver.v1 import index_pb2, sql_pb2, value_pb2

CALLS_IN_FLIGHT = 16


def work(driver, worker: int, end: float, project: str, writer: str, files: list[str]) -> int:
    """Indexes a file and writes a row, in turn; answers how often."""
    n = 0
    while time.monotonic() < end:
        file = files[(worker + n) % len(files)]
        driver.IndexFile(index_pb2.IndexFileRequest(project_id=project, file_path=file, force=True))
        driver.Execute(
            sql_pb2.ExecuteRequest(
                sql="INSERT INTO load_rows (writer, worker, n) VALUES (?, ?, ?)",
                parameters=[
                    value_pb2.Value(text_value=writer),
                    value_pb2.Value(integer_value=worker),
                    value_pb2.Value(integer_value=n),
                ],
                request_id=f"{writer}-{worker}-{n}",
            )
        )
        n += 1
    return n


def main(seconds: str, project: str, writer: str, *files: str) -> None:
    end = time.monotonic() + float(seconds)
    channel, driver = connect()
    with channel, ThreadPoolExecutor(CALLS_IN_FLIGHT) as pool:
        runs = [pool.submit(work, driver, worker, end, project, writer, files) for worker in range(CALLS_IN_FLIGHT)]
        total = sum(run.result() for run in runs)
    print(json.dumps({"indexed": total, "written": total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
