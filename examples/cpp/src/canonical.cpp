#include "canonical.h"

#include <zlib.h>

#include <bit>
#include <cstdint>
#include <cstdio>

namespace {

using code_analysis::driver::v1::Value;

constexpr std::size_t kLongBytes = 64;

template <typename... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, arguments...);
  return text;
}

std::string hex_decode(const std::string& digits) {
  std::string bytes;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

std::string hex_encode(const std::string& bytes) {
  std::string digits;
  for (const unsigned char byte : bytes) digits += format("%02x", byte);
  return digits;
}

std::string percent_decode(const std::string& text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      bytes += hex_decode(text.substr(at + 1, 2));
      at += 2;
    } else {
      bytes.push_back(text[at]);
    }
  }
  return bytes;
}

// COUNT*CONTENT is the content so many times.
std::string repeated(const std::string& content, std::string (*parse)(const std::string&)) {
  const auto star = content.find('*');
  if (star == std::string::npos) return parse(content);
  const std::string unit = parse(content.substr(star + 1));
  std::string bytes;
  for (int left = std::stoi(content.substr(0, star)); left > 0; --left) bytes += unit;
  return bytes;
}

std::string shortened(const std::string& content, std::string (*form)(const std::string&)) {
  if (content.size() <= kLongBytes) return form(content);
  const auto checksum = crc32(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  return std::to_string(content.size()) + ",crc32=" + checksum_digits(checksum);
}

}  // namespace

Value to_value(const std::string& text) {
  const auto colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string content = colon == std::string::npos ? "" : text.substr(colon + 1);
  Value value;
  if (kind == "null") value.set_null_value(google::protobuf::NULL_VALUE);
  if (kind == "integer") value.set_integer_value(std::stoll(content));
  if (kind == "real") value.set_real_value(std::bit_cast<double>(static_cast<std::uint64_t>(std::stoull(content, nullptr, 16))));
  if (kind == "text") value.set_text_value(repeated(content, percent_decode));
  if (kind == "blob") value.set_blob_value(repeated(content, hex_decode));
  return value;
}

std::string from_value(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      return "null";
    case Value::kIntegerValue:
      return "integer:" + std::to_string(value.integer_value());
    case Value::kRealValue:
      return format("real:%016llx", std::bit_cast<unsigned long long>(value.real_value()));
    case Value::kTextValue:
      return "text:" + shortened(value.text_value(), percent_encode);
    case Value::kBlobValue:
      return "blob:" + shortened(value.blob_value(), hex_encode);
    case Value::KIND_NOT_SET:
      break;
  }
  return "unset";
}

std::string percent_encode(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                          byte == '-' || byte == '.' || byte == '_' || byte == '~';
    text += is_plain ? std::string(1, static_cast<char>(byte)) : format("%%%02X", byte);
  }
  return text;
}

std::string checksum_digits(unsigned long checksum) { return format("%08lx", checksum); }
