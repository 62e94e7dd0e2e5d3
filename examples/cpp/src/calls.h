// What each call of a scenario does.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "describe.h"

// Executes the steps of a case.
class Calls {
 public:
  Calls(Driver& driver, std::filesystem::path source) : driver_(driver), source_(std::move(source)) {}

  Lines run(const nlohmann::json& step);

 private:
  Lines execute(grpc::ClientContext& context, const nlohmann::json& step);
  Lines execute_batch(grpc::ClientContext& context, const nlohmann::json& step);
  Lines query(grpc::ClientContext& context, const nlohmann::json& step);
  Lines begin_transaction(grpc::ClientContext& context, const nlohmann::json& step);
  Lines commit_transaction(grpc::ClientContext& context, const nlohmann::json& step);
  Lines rollback_transaction(grpc::ClientContext& context, const nlohmann::json& step);
  Lines insert(grpc::ClientContext& context, const nlohmann::json& step);
  Lines update(grpc::ClientContext& context, const nlohmann::json& step);
  Lines delete_rows(grpc::ClientContext& context, const nlohmann::json& step);
  Lines select(grpc::ClientContext& context, const nlohmann::json& step);
  Lines register_project(grpc::ClientContext& context, const nlohmann::json& step);
  Lines index_file(grpc::ClientContext& context, const nlohmann::json& step);
  Lines index_project(grpc::ClientContext& context, const nlohmann::json& step);
  Lines list_indexing_errors(grpc::ClientContext& context, const nlohmann::json& step);
  Lines search_code(grpc::ClientContext& context, const nlohmann::json& step);

  // The id of the transaction that the step names; a name that none has stands for itself.
  std::string transaction_of(const nlohmann::json& step) const;

  Driver& driver_;
  std::filesystem::path source_;
  // Ids by the names that the case gives them.
  std::map<std::string, std::string> transactions_;
};
