"""Runs the conformance scenario: `python conformance.py SCENARIO SOURCE_DIRECTORY REPORT`."""

import importlib.metadata
import json
import os
import sys
import zlib
from urllib.parse import quote

import grpc
from google.protobuf import duration_pb2

from driver import connect, explain
from canonical import from_value, to_value
from code_analysis.driver.v1 import (
    index_pb2,
    project_pb2,
    search_pb2,
    sql_pb2,
    table_pb2,
    transaction_pb2,
    value_pb2,
)

# A longer result is reported as its number of rows and a checksum.
LONG_ROWS = 20


class Scenario:
    """Executes the steps of a case; each method is named for the RPC it calls and answers lines of the report."""

    def __init__(self, driver, source: str):
        self._driver = driver
        self._source = source
        self._transactions: dict[str, str] = {}

    def run(self, step) -> list[str]:
        try:
            return list(getattr(self, step["call"])(step, self._options(step)))
        except grpc.RpcError as error:
            return [describe_error(error)]

    def Execute(self, step, options):
        answer = self._driver.Execute(
            sql_pb2.ExecuteRequest(
                **self._statement(step),
                max_rows=step.get("max_rows", 0),
                transaction_id=self._transaction(step),
                request_id=step.get("request_id", ""),
            ),
            **options,
        )
        return describe_result(answer)

    def ExecuteBatch(self, step, options):
        statements = [sql_pb2.Statement(**self._statement(statement)) for statement in step["statements"]]
        answer = self._driver.ExecuteBatch(
            sql_pb2.ExecuteBatchRequest(statements=statements, transaction_id=self._transaction(step)), **options
        )
        for index, result in enumerate(answer.results):
            yield from [f"result {index}", *describe_result(result)]

    def Query(self, step, options):
        request = sql_pb2.QueryRequest(**self._statement(step), transaction_id=self._transaction(step))
        return describe_stream(self._driver.Query(request, **options), step.get("cancel_after"))

    def BeginTransaction(self, step, options):
        request = transaction_pb2.BeginTransactionRequest()
        if "ttl_ms" in step:
            request.ttl.CopyFrom(duration_pb2.Duration(nanos=step["ttl_ms"] % 1000 * 1_000_000, seconds=step["ttl_ms"] // 1000))
        self._transactions[step["as"]] = self._driver.BeginTransaction(request, **options).transaction_id
        return ["begun"]

    def CommitTransaction(self, step, options):
        self._driver.CommitTransaction(
            transaction_pb2.CommitTransactionRequest(
                transaction_id=self._transaction(step), request_id=step.get("request_id", "")
            ),
            **options,
        )
        return ["committed"]

    def RollbackTransaction(self, step, options):
        request = transaction_pb2.RollbackTransactionRequest(transaction_id=self._transaction(step))
        self._driver.RollbackTransaction(request, **options)
        return ["rolled back"]

    def Insert(self, step, options):
        answer = self._driver.Insert(
            table_pb2.InsertRequest(
                table=step["table"],
                columns=step["columns"],
                rows=[value_pb2.Row(values=map(to_value, row)) for row in step["rows"]],
                on_conflict=f"CONFLICT_ACTION_{step.get('on_conflict', 'UNSPECIFIED')}",
            ),
            **options,
        )
        return describe_change(answer)

    def Update(self, step, options):
        request = table_pb2.UpdateRequest(
            table=step["table"],
            set={column: to_value(value) for column, value in step["set"].items()},
            where=condition(step["where"]),
        )
        return [f"affected {self._driver.Update(request, **options).affected_rows}"]

    def Delete(self, step, options):
        request = table_pb2.DeleteRequest(table=step["table"], where=condition(step["where"]))
        return [f"affected {self._driver.Delete(request, **options).affected_rows}"]

    def Select(self, step, options):
        request = table_pb2.SelectRequest(table=step["table"], columns=step.get("columns", []), limit=step.get("limit"))
        if "where" in step:
            request.where.CopyFrom(condition(step["where"]))
        if "order_by" in step:
            request.order_by.add(column=step["order_by"])
        return describe_stream(self._driver.Select(request, **options))

    def RegisterProject(self, step, options):
        root = os.path.normpath(os.path.join(self._source, step["root"]))
        request = project_pb2.RegisterProjectRequest(root_path=root, id=step.get("id"))
        answer = self._driver.RegisterProject(request, **options)
        return [f"project {answer.project.id} created={boolean(answer.created)}"]

    def IndexFile(self, step, options):
        request = index_pb2.IndexFileRequest(
            project_id=step["project"], file_path=step["path"], force=step.get("force", False)
        )
        file = self._driver.IndexFile(request, **options)
        counts = file.counts
        return [
            f"file {file.file_path} language={file.language} lines={file.lines} unchanged={boolean(file.unchanged)}"
            f" classes={counts.classes} methods={counts.methods} functions={counts.functions} imports={counts.imports}"
        ]

    def IndexProject(self, step, options):
        for message in self._driver.IndexProject(index_pb2.IndexProjectRequest(project_id=step["project"]), **options):
            progress = message.progress
        return [
            f"files total={progress.files_total} indexed={progress.files_indexed} unchanged={progress.files_unchanged}"
            f" failed={progress.files_failed} deleted={progress.files_deleted}"
        ]

    def ListIndexingErrors(self, step, options):
        request = index_pb2.ListIndexingErrorsRequest(project_id=step["project"])
        for error in self._driver.ListIndexingErrors(request, **options).errors:
            yield f"failure {error.file_path.rpartition('/')[2]} {error.error_type}"

    def SearchCode(self, step, options):
        request = search_pb2.SearchCodeRequest(query=step["query"], project_id=step["project"])
        for hit in self._driver.SearchCode(request, **options).hits:
            yield f"hit {hit.entity_name} kind={hit.entity.kind} {hit.file_path}:{hit.line}"

    def _statement(self, step) -> dict:
        return {
            "sql": step["sql"],
            "parameters": map(to_value, step.get("parameters", [])),
            "named_parameters": {name: to_value(value) for name, value in step.get("named", {}).items()},
        }

    def _transaction(self, step) -> str:
        """The id of the transaction that the step names; a name that none has stands for itself."""
        name = step.get("in", "")
        return self._transactions.get(name, name)

    def _options(self, step) -> dict:
        return {"timeout": step["timeout_ms"] / 1000} if "timeout_ms" in step else {}


def condition(where) -> table_pb2.Condition:
    operator = f"COMPARISON_OPERATOR_{where['operator']}"
    return table_pb2.Condition(
        comparison=table_pb2.Comparison(column=where["column"], operator=operator, value=to_value(where["value"]))
    )


def describe_result(result):
    if result.columns:
        yield describe_columns(result.columns)
    yield from map(describe_row, result.rows)
    if result.truncated:
        yield "truncated"
    yield from describe_change(result)


def describe_change(result):
    yield f"affected {result.affected_rows}"
    if result.HasField("last_insert_rowid"):
        yield f"rowid {result.last_insert_rowid}"


def describe_stream(stream, cancel_after=None):
    lines: list[str] = []
    count = checksum = 0
    for message in stream:
        if message.columns:
            lines.append(describe_columns(message.columns))
        for row in message.rows:
            line = describe_row(row)
            count += 1
            checksum = zlib.crc32(f"{line}\n".encode(), checksum)
            if count <= LONG_ROWS:
                lines.append(line)
        if cancel_after is not None and count >= cancel_after:
            stream.cancel()
            return ["cancelled"]
    return lines if count <= LONG_ROWS else [lines[0], f"rows {count} crc32={checksum:08x}"]


def describe_columns(columns) -> str:
    return " ".join(["columns", *(quote(column.name, safe="") for column in columns)])


def describe_row(row) -> str:
    return " ".join(["row", *map(from_value, row.values)])


def describe_error(error: grpc.RpcError) -> str:
    explained = explain(error)
    # These three may come from the client's side of gRPC, which knows no reasons.
    if explained.status in ("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"):
        return f"error {explained.status}"
    line = f"error {explained.status} {explained.reason}"
    if explained.field:
        line += f" field={explained.field}"
    if explained.sqlite_code:
        line += f" sqlite_code={explained.sqlite_code}"
    return line + (" retry" if explained.is_retryable else "")


def boolean(value: bool) -> str:
    return "true" if value else "false"


def main(scenario_path: str, source: str, report_path: str) -> None:
    with open(scenario_path, encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    channel, driver = connect()
    entries, failed = [], 0
    with channel:
        for case in cases:
            scenario = Scenario(driver, source)
            outcome = [line for step in case["steps"] for line in scenario.run(step)]
            has_passed = outcome == case["expect"]
            failed += not has_passed
            lines = ",".join(f'"{line}"' for line in outcome)
            entries.append(f'{{"name":"{case["name"]}","passed":{boolean(has_passed)},"outcome":[{lines}]}}')
    with open(report_path, "w", encoding="utf-8") as file:
        file.write('{"cases":[\n' + ",\n".join(entries) + "\n]}\n")
    version = importlib.metadata.version
    print(f"Python|grpcio-tools {version('grpcio-tools')}|grpcio {version('grpcio')}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
