// Runs the conformance scenario: conformance SCENARIO SOURCE_DIRECTORY REPORT.

#include <fstream>
#include <iostream>
#include <stdexcept>

#include "calls.h"

int main(int count, char** arguments) try {
  if (count != 4) throw std::runtime_error("usage: conformance SCENARIO SOURCE_DIRECTORY REPORT");
  std::ifstream scenario(arguments[1]);
  const auto cases = nlohmann::json::parse(scenario).at("cases");
  Driver driver;
  std::string entries;
  bool has_failed = false;
  for (const auto& example : cases) {
    Calls calls(driver, arguments[2]);
    Lines outcome;
    for (const auto& step : example.at("steps")) {
      const Lines lines = calls.run(step);
      outcome.insert(outcome.end(), lines.begin(), lines.end());
    }
    const bool has_passed = outcome == example.at("expect").get<Lines>();
    has_failed = has_failed || !has_passed;
    std::string lines;
    for (const auto& line : outcome) lines += (lines.empty() ? "\"" : ",\"") + line + "\"";
    entries += (entries.empty() ? "" : ",\n");
    entries += "{\"name\":\"" + example.at("name").get<std::string>() + "\",\"passed\":";
    entries += std::string(has_passed ? "true" : "false") + ",\"outcome\":[" + lines + "]}";
  }
  std::ofstream(arguments[3]) << "{\"cases\":[\n" << entries << "\n]}\n";
  const std::string version = grpc::Version();
  std::cout << "C++|grpc_cpp_plugin " << version << "|grpc++ " << version << '\n';
  return has_failed ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
