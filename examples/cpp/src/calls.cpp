#include "calls.h"

#include <chrono>
#include <stdexcept>

using grpc::ClientContext;
using grpc::Status;
using nlohmann::json;

namespace {

std::string text(const json& step, const char* name) { return step.value(name, ""); }

// Puts the SQL of a step and its values into a request.
template <typename Request>
void set_statement(const json& step, Request& request) {
  request.set_sql(step.at("sql"));
  for (const std::string value : step.value("parameters", json::array())) {
    *request.add_parameters() = to_value(value);
  }
  const json named = step.value("named", json::object());
  for (const auto& [name, value] : named.items()) {
    (*request.mutable_named_parameters())[name] = to_value(value);
  }
}

v1::Condition condition(const json& where) {
  v1::Condition condition;
  auto& comparison = *condition.mutable_comparison();
  v1::ComparisonOperator comparison_operator;
  v1::ComparisonOperator_Parse("COMPARISON_OPERATOR_" + text(where, "operator"), &comparison_operator);
  comparison.set_column(where.at("column"));
  comparison.set_operator_(comparison_operator);
  *comparison.mutable_value() = to_value(where.at("value"));
  return condition;
}

const char* name_of(bool value) { return value ? "true" : "false"; }

std::string affected(long long rows) { return "affected " + std::to_string(rows); }

}  // namespace

Lines Calls::run(const json& step) {
  using Call = Lines (Calls::*)(ClientContext&, const json&);
  static const std::map<std::string, Call> calls{
      {"Execute", &Calls::execute},
      {"ExecuteBatch", &Calls::execute_batch},
      {"Query", &Calls::query},
      {"BeginTransaction", &Calls::begin_transaction},
      {"CommitTransaction", &Calls::commit_transaction},
      {"RollbackTransaction", &Calls::rollback_transaction},
      {"Insert", &Calls::insert},
      {"Update", &Calls::update},
      {"Delete", &Calls::delete_rows},
      {"Select", &Calls::select},
      {"RegisterProject", &Calls::register_project},
      {"IndexFile", &Calls::index_file},
      {"IndexProject", &Calls::index_project},
      {"ListIndexingErrors", &Calls::list_indexing_errors},
      {"SearchCode", &Calls::search_code},
  };
  ClientContext context;
  driver_.authorize(context);
  if (step.contains("timeout_ms")) {
    const std::chrono::milliseconds timeout(step.at("timeout_ms").get<int>());
    context.set_deadline(std::chrono::system_clock::now() + timeout);
  }
  return (this->*calls.at(text(step, "call")))(context, step);
}

Lines Calls::execute(ClientContext& context, const json& step) {
  v1::ExecuteRequest request;
  set_statement(step, request);
  request.set_max_rows(step.value("max_rows", 0));
  request.set_transaction_id(transaction_of(step));
  request.set_request_id(text(step, "request_id"));
  v1::ExecuteResponse answer;
  const Status status = driver_->Execute(&context, request, &answer);
  return status.ok() ? describe_result(answer) : Lines{describe_error(status)};
}

Lines Calls::execute_batch(ClientContext& context, const json& step) {
  v1::ExecuteBatchRequest request;
  for (const json& statement : step.at("statements")) set_statement(statement, *request.add_statements());
  request.set_transaction_id(transaction_of(step));
  v1::ExecuteBatchResponse answer;
  const Status status = driver_->ExecuteBatch(&context, request, &answer);
  if (!status.ok()) return {describe_error(status)};
  Lines lines;
  for (int index = 0; index < answer.results_size(); ++index) {
    lines.push_back("result " + std::to_string(index));
    const Lines result = describe_result(answer.results(index));
    lines.insert(lines.end(), result.begin(), result.end());
  }
  return lines;
}

Lines Calls::query(ClientContext& context, const json& step) {
  v1::QueryRequest request;
  set_statement(step, request);
  request.set_transaction_id(transaction_of(step));
  const auto stream = driver_->Query(&context, request);
  return describe_stream(context, *stream, step.value("cancel_after", 0L));
}

Lines Calls::begin_transaction(ClientContext& context, const json& step) {
  v1::BeginTransactionRequest request;
  if (const int ttl_ms = step.value("ttl_ms", 0); ttl_ms > 0) {
    request.mutable_ttl()->set_seconds(ttl_ms / 1000);
    request.mutable_ttl()->set_nanos(ttl_ms % 1000 * 1'000'000);
  }
  v1::BeginTransactionResponse answer;
  const Status status = driver_->BeginTransaction(&context, request, &answer);
  if (!status.ok()) return {describe_error(status)};
  transactions_[step.at("as")] = answer.transaction_id();
  return {"begun"};
}

Lines Calls::commit_transaction(ClientContext& context, const json& step) {
  v1::CommitTransactionRequest request;
  request.set_transaction_id(transaction_of(step));
  request.set_request_id(text(step, "request_id"));
  v1::CommitTransactionResponse answer;
  const Status status = driver_->CommitTransaction(&context, request, &answer);
  return {status.ok() ? "committed" : describe_error(status)};
}

Lines Calls::rollback_transaction(ClientContext& context, const json& step) {
  v1::RollbackTransactionRequest request;
  request.set_transaction_id(transaction_of(step));
  v1::RollbackTransactionResponse answer;
  const Status status = driver_->RollbackTransaction(&context, request, &answer);
  return {status.ok() ? "rolled back" : describe_error(status)};
}

Lines Calls::insert(ClientContext& context, const json& step) {
  v1::InsertRequest request;
  request.set_table(step.at("table"));
  for (const std::string column : step.at("columns")) request.add_columns(column);
  for (const json& row : step.at("rows")) {
    auto& values = *request.add_rows();
    for (const std::string value : row) *values.add_values() = to_value(value);
  }
  v1::ConflictAction action;
  v1::ConflictAction_Parse("CONFLICT_ACTION_" + step.value("on_conflict", "UNSPECIFIED"), &action);
  request.set_on_conflict(action);
  v1::InsertResponse answer;
  const Status status = driver_->Insert(&context, request, &answer);
  return status.ok() ? describe_change(answer) : Lines{describe_error(status)};
}

Lines Calls::update(ClientContext& context, const json& step) {
  v1::UpdateRequest request;
  request.set_table(step.at("table"));
  for (const auto& [column, value] : step.at("set").items()) (*request.mutable_set())[column] = to_value(value);
  *request.mutable_where() = condition(step.at("where"));
  v1::UpdateResponse answer;
  const Status status = driver_->Update(&context, request, &answer);
  return {status.ok() ? affected(answer.affected_rows()) : describe_error(status)};
}

Lines Calls::delete_rows(ClientContext& context, const json& step) {
  v1::DeleteRequest request;
  request.set_table(step.at("table"));
  *request.mutable_where() = condition(step.at("where"));
  v1::DeleteResponse answer;
  const Status status = driver_->Delete(&context, request, &answer);
  return {status.ok() ? affected(answer.affected_rows()) : describe_error(status)};
}

Lines Calls::select(ClientContext& context, const json& step) {
  v1::SelectRequest request;
  request.set_table(step.at("table"));
  for (const std::string column : step.value("columns", json::array())) request.add_columns(column);
  if (step.contains("where")) *request.mutable_where() = condition(step.at("where"));
  if (step.contains("order_by")) request.add_order_by()->set_column(step.at("order_by"));
  if (step.contains("limit")) request.set_limit(step.at("limit"));
  const auto stream = driver_->Select(&context, request);
  return describe_stream(context, *stream, 0);
}

Lines Calls::register_project(ClientContext& context, const json& step) {
  v1::RegisterProjectRequest request;
  const std::string root = step.at("root");
  request.set_root_path(root == "." ? source_ : source_ / root);
  if (step.contains("id")) request.set_id(step.at("id"));
  v1::RegisterProjectResponse answer;
  const Status status = driver_->RegisterProject(&context, request, &answer);
  if (!status.ok()) return {describe_error(status)};
  return {"project " + answer.project().id() + " created=" + name_of(answer.created())};
}

Lines Calls::index_file(ClientContext& context, const json& step) {
  v1::IndexFileRequest request;
  request.set_project_id(step.at("project"));
  request.set_file_path(step.at("path"));
  request.set_force(step.value("force", false));
  v1::IndexFileResponse file;
  const Status status = driver_->IndexFile(&context, request, &file);
  if (!status.ok()) return {describe_error(status)};
  const auto& counts = file.counts();
  return {"file " + file.file_path() + " language=" + file.language() + " lines=" + std::to_string(file.lines()) +
          " unchanged=" + name_of(file.unchanged()) + " classes=" + std::to_string(counts.classes()) +
          " methods=" + std::to_string(counts.methods()) + " functions=" + std::to_string(counts.functions()) +
          " imports=" + std::to_string(counts.imports())};
}

Lines Calls::index_project(ClientContext& context, const json& step) {
  v1::IndexProjectRequest request;
  request.set_project_id(step.at("project"));
  const auto stream = driver_->IndexProject(&context, request);
  v1::IndexProjectResponse message;
  while (stream->Read(&message)) continue;
  const Status status = stream->Finish();
  if (!status.ok()) return {describe_error(status)};
  const auto& progress = message.progress();
  return {"files total=" + std::to_string(progress.files_total()) +
          " indexed=" + std::to_string(progress.files_indexed()) +
          " unchanged=" + std::to_string(progress.files_unchanged()) +
          " failed=" + std::to_string(progress.files_failed()) +
          " deleted=" + std::to_string(progress.files_deleted())};
}

Lines Calls::list_indexing_errors(ClientContext& context, const json& step) {
  v1::ListIndexingErrorsRequest request;
  request.set_project_id(step.at("project"));
  v1::ListIndexingErrorsResponse answer;
  const Status status = driver_->ListIndexingErrors(&context, request, &answer);
  if (!status.ok()) return {describe_error(status)};
  Lines lines;
  for (const auto& failure : answer.errors()) {
    const std::string name = std::filesystem::path(failure.file_path()).filename();
    lines.push_back("failure " + name + " " + failure.error_type());
  }
  return lines;
}

Lines Calls::search_code(ClientContext& context, const json& step) {
  v1::SearchCodeRequest request;
  request.set_project_id(step.at("project"));
  request.set_query(step.at("query"));
  v1::SearchCodeResponse answer;
  const Status status = driver_->SearchCode(&context, request, &answer);
  if (!status.ok()) return {describe_error(status)};
  Lines lines;
  for (const auto& hit : answer.hits()) {
    lines.push_back("hit " + hit.entity_name() + " kind=" + std::to_string(hit.entity().kind()) + " " +
                    hit.file_path() + ":" + std::to_string(hit.line()));
  }
  return lines;
}

std::string Calls::transaction_of(const json& step) const {
  const std::string name = text(step, "in");
  const auto known = transactions_.find(name);
  return known == transactions_.end() ? name : known->second;
}
