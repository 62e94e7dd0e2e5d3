#include "describe.h"

std::string describe_row(const v1::Row& row) {
  std::string line = "row";
  for (const auto& value : row.values()) line += " " + from_value(value);
  return line;
}

std::string describe_error(const grpc::Status& status) {
  const DriverError explained = explain(status);
  std::string line = "error " + explained.status;
  // These three may come from the client's side of gRPC, which knows no reasons.
  for (const char* name : {"CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}) {
    if (explained.status == name) return line;
  }
  line += " " + explained.reason;
  if (!explained.field.empty()) line += " field=" + explained.field;
  if (!explained.sqlite_code.empty()) line += " sqlite_code=" + explained.sqlite_code;
  if (explained.is_retryable) line += " retry";
  return line;
}
