// Answers and errors as lines of the report.
#pragma once

#include <zlib.h>

#include <string>
#include <vector>

#include "canonical.h"
#include "driver.h"

using Lines = std::vector<std::string>;

// A longer result is reported as its number of rows and a checksum.
constexpr int kLongRows = 20;

std::string describe_row(const v1::Row& row);
std::string describe_error(const grpc::Status& status);

template <typename Columns>
std::string describe_columns(const Columns& columns) {
  std::string line = "columns";
  for (const auto& column : columns) line += " " + percent_encode(column.name());
  return line;
}

// For an answer that has affected_rows and last_insert_rowid.
template <typename Answer>
Lines describe_change(const Answer& answer) {
  Lines lines{"affected " + std::to_string(answer.affected_rows())};
  if (answer.has_last_insert_rowid()) lines.push_back("rowid " + std::to_string(answer.last_insert_rowid()));
  return lines;
}

template <typename Answer>
Lines describe_result(const Answer& answer) {
  Lines lines;
  if (answer.columns_size() > 0) lines.push_back(describe_columns(answer.columns()));
  for (const auto& row : answer.rows()) lines.push_back(describe_row(row));
  if (answer.truncated()) lines.push_back("truncated");
  const Lines change = describe_change(answer);
  lines.insert(lines.end(), change.begin(), change.end());
  return lines;
}

// Reads a stream to its end, or cancels it once so many rows have come, when that is not 0.
template <typename Message>
Lines describe_stream(grpc::ClientContext& context, grpc::ClientReader<Message>& stream, long cancel_after) {
  Lines lines;
  long count = 0;
  unsigned long checksum = crc32(0, nullptr, 0);
  Message message;
  while (stream.Read(&message)) {
    if (message.columns_size() > 0) lines.push_back(describe_columns(message.columns()));
    for (const auto& row : message.rows()) {
      const std::string line = describe_row(row);
      const std::string ended = line + "\n";
      checksum = crc32(checksum, reinterpret_cast<const Bytef*>(ended.data()), ended.size());
      if (++count <= kLongRows) lines.push_back(line);
    }
    if (cancel_after > 0 && count >= cancel_after) {
      context.TryCancel();
      stream.Finish();
      return {"cancelled"};
    }
  }
  const grpc::Status status = stream.Finish();
  if (!status.ok()) return {describe_error(status)};
  if (count > kLongRows) {
    lines.resize(1);
    lines.push_back("rows " + std::to_string(count) + " crc32=" + checksum_digits(checksum));
  }
  return lines;
}
