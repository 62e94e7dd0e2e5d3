// Indexes a directory and asks about it: example DIR.

#include <filesystem>
#include <iostream>
#include <random>
#include <stdexcept>

#include "driver.h"

namespace {

// The context of one call.
struct Call : grpc::ClientContext {
  explicit Call(const Driver& driver) { driver.authorize(*this); }
};

void check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

std::string register_project(Driver& driver, const std::string& directory) {
  v1::RegisterProjectRequest request;
  request.set_root_path(std::filesystem::canonical(directory));
  v1::RegisterProjectResponse answer;
  Call call(driver);
  check(driver->RegisterProject(&call, request, &answer));
  return answer.project().id();
}

// Indexes the project and shows how far it is.
void index(Driver& driver, const std::string& project) {
  v1::IndexProjectRequest request;
  request.set_project_id(project);
  Call call(driver);
  const auto stream = driver->IndexProject(&call, request);
  v1::IndexProjectResponse message;
  while (stream->Read(&message)) {
    const auto& progress = message.progress();
    std::cout << '\r' << progress.files_done() << '/' << progress.files_total() << " files" << std::flush;
  }
  check(stream->Finish());
  const auto& progress = message.progress();
  std::cout << ", " << progress.files_indexed() << " indexed, " << progress.files_unchanged() << " unchanged, "
            << progress.files_failed() << " failed\n";
}

// Streams the rows of a query, however many there are.
void list_largest_classes(Driver& driver) {
  v1::QueryRequest request;
  request.set_sql(
      "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id "
      "GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?");
  request.add_parameters()->set_integer_value(3);
  Call call(driver);
  const auto stream = driver->Query(&call, request);
  v1::QueryResponse message;
  while (stream->Read(&message)) {
    for (const auto& row : message.rows()) {
      std::cout << "class " << row.values(0).text_value() << ": " << row.values(1).integer_value() << " methods\n";
    }
  }
  check(stream->Finish());
}

grpc::Status write_notes(Driver& driver, const std::string& transaction) {
  v1::ExecuteRequest create;
  create.set_sql("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)");
  v1::ExecuteRequest insert;
  insert.set_sql("INSERT INTO notes (text) VALUES (?)");
  insert.add_parameters()->set_text_value("written from C++");
  for (auto* request : {&create, &insert}) {
    request->set_transaction_id(transaction);
    v1::ExecuteResponse answer;
    Call call(driver);
    const grpc::Status status = driver->Execute(&call, *request, &answer);
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

// Makes a table and a row in one transaction: both or none. A request id makes the commit safe to repeat.
void take_notes(Driver& driver) {
  v1::BeginTransactionResponse begun;
  Call begin(driver);
  check(driver->BeginTransaction(&begin, {}, &begun));

  const grpc::Status written = write_notes(driver, begun.transaction_id());
  if (!written.ok()) {
    v1::RollbackTransactionRequest request;
    request.set_transaction_id(begun.transaction_id());
    v1::RollbackTransactionResponse answer;
    Call rollback(driver);
    check(driver->RollbackTransaction(&rollback, request, &answer));
    check(written);
  }

  v1::CommitTransactionRequest request;
  request.set_transaction_id(begun.transaction_id());
  std::random_device random;
  for (int word = 0; word < 4; ++word) request.mutable_request_id()->append(std::to_string(random()));
  v1::CommitTransactionResponse answer;
  Call commit(driver);
  check(driver->CommitTransaction(&commit, request, &answer));
  std::cout << "committed a note\n";
}

// Handles one error by its reason.
void ask_for_what_is_not_there(Driver& driver, const std::string& project) {
  v1::IndexFileRequest request;
  request.set_project_id(project);
  request.set_file_path("no/such/file.py");
  v1::IndexFileResponse answer;
  Call call(driver);
  const grpc::Status status = driver->IndexFile(&call, request, &answer);
  const DriverError explained = explain(status);
  if (explained.reason != "FILE_NOT_FOUND") check(status);
  std::cout << explained.status << ' ' << explained.reason << ": " << explained.message << '\n';
}

// Searches names and text.
void search(Driver& driver, const std::string& project) {
  v1::SearchCodeRequest request;
  request.set_query("read*");
  request.set_project_id(project);
  request.set_page_size(3);
  v1::SearchCodeResponse answer;
  Call call(driver);
  check(driver->SearchCode(&call, request, &answer));
  for (const auto& hit : answer.hits()) {
    std::cout << hit.file_path() << ':' << hit.line() << ' ' << hit.entity_name() << '\n';
  }
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) throw std::runtime_error("usage: example DIR");
  Driver driver;
  const std::string project = register_project(driver, arguments[1]);
  index(driver, project);
  list_largest_classes(driver);
  take_notes(driver);
  ask_for_what_is_not_there(driver, project);
  search(driver, project);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
