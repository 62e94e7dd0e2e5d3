"""Indexes a directory and asks about it: `python example.py DIR`."""

import os
import sys
import uuid

import grpc

from driver import connect, explain
from code_analysis.driver.v1 import (
    index_pb2,
    project_pb2,
    search_pb2,
    sql_pb2,
    transaction_pb2,
    value_pb2,
)


def main(directory: str) -> None:
    channel, driver = connect()
    with channel:
        request = project_pb2.RegisterProjectRequest(root_path=os.path.abspath(directory))
        project = driver.RegisterProject(request).project
        index(driver, project)
        list_largest_classes(driver)
        take_notes(driver)
        ask_for_what_is_not_there(driver, project)
        search(driver, project)


def index(driver, project) -> None:
    """Indexes the project and shows how far it is."""
    for message in driver.IndexProject(index_pb2.IndexProjectRequest(project_id=project.id)):
        progress = message.progress
        print(f"\r{progress.files_done}/{progress.files_total} files", end="", flush=True)
    print(f", {progress.files_indexed} indexed, {progress.files_unchanged} unchanged, {progress.files_failed} failed")


def list_largest_classes(driver) -> None:
    """Streams the rows of a query, however many there are."""
    sql = "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?"
    for message in driver.Query(sql_pb2.QueryRequest(sql=sql, parameters=[value_pb2.Value(integer_value=3)])):
        for row in message.rows:
            name, methods = row.values
            print(f"class {name.text_value}: {methods.integer_value} methods")


def take_notes(driver) -> None:
    """Makes a table and a row in one transaction: both or none. A request id makes the commit safe to repeat."""
    begun = driver.BeginTransaction(transaction_pb2.BeginTransactionRequest())
    try:
        for sql, parameters in [
            ("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)", []),
            ("INSERT INTO notes (text) VALUES (?)", [value_pb2.Value(text_value="written from Python")]),
        ]:
            driver.Execute(
                sql_pb2.ExecuteRequest(sql=sql, parameters=parameters, transaction_id=begun.transaction_id)
            )
    except BaseException:
        driver.RollbackTransaction(
            transaction_pb2.RollbackTransactionRequest(transaction_id=begun.transaction_id)
        )
        raise
    driver.CommitTransaction(
        transaction_pb2.CommitTransactionRequest(transaction_id=begun.transaction_id, request_id=str(uuid.uuid4()))
    )
    print("committed a note")


def ask_for_what_is_not_there(driver, project) -> None:
    """Handles one error by its reason."""
    try:
        driver.IndexFile(index_pb2.IndexFileRequest(project_id=project.id, file_path="no/such/file.py"))
    except grpc.RpcError as error:
        explained = explain(error)
        if explained.reason != "FILE_NOT_FOUND":
            raise
        print(f"{explained.status} {explained.reason}: {explained.message}")


def search(driver, project) -> None:
    """Searches names and text."""
    hits = driver.SearchCode(search_pb2.SearchCodeRequest(query="read*", project_id=project.id, page_size=3)).hits
    for hit in hits:
        print(f"{hit.file_path}:{hit.line} {hit.entity_name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: example.py DIR")
    main(sys.argv[1])
