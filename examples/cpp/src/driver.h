// Connects to a driver, and reads what its errors say.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "code_analysis/driver/v1/driver_service.grpc.pb.h"

namespace v1 = code_analysis::driver::v1;

// A connection to the driver that the environment names.
class Driver {
 public:
  Driver();

  v1::DriverService::Stub* operator->() { return stub_.get(); }

  // Gives a call the token. A context is for one call only.
  void authorize(grpc::ClientContext& context) const;

 private:
  std::string token_;
  std::unique_ptr<v1::DriverService::Stub> stub_;
};

// What a failed call says: its status, and the details of the driver where there are some; else they are empty.
struct DriverError {
  std::string status;
  std::string message;
  std::string reason;
  std::string field;
  std::string sqlite_code;
  bool is_retryable = false;
};

// Decodes the google.rpc.Status in the trailer grpc-status-details-bin.
DriverError explain(const grpc::Status& status);
