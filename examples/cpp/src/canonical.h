// The text form of values that all conformance reports share; test/conformance/README.md defines it.
#pragma once

#include <string>

#include "code_analysis/driver/v1/value.pb.h"

code_analysis::driver::v1::Value to_value(const std::string& text);
std::string from_value(const code_analysis::driver::v1::Value& value);

// All bytes but letters, digits and -._~ as %XX.
std::string percent_encode(const std::string& bytes);

// The 8 hexadecimal digits of a CRC-32.
std::string checksum_digits(unsigned long checksum);
