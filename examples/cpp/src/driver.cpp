#include "driver.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "google/rpc/code.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace {

std::string variable(const char* name, const std::string& fallback = "") {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Driver::Driver() : token_(variable("CODE_ANALYSIS_DRIVER_TOKEN")) {
  const std::string address = variable("CODE_ANALYSIS_DRIVER_ADDRESS", "unix:data/code_analysis.db.sock");
  const std::string authority = variable("CODE_ANALYSIS_DRIVER_TLS_CA");
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!authority.empty()) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = read_file(authority);
    credentials = grpc::SslCredentials(options);
  }
  grpc::ChannelArguments arguments;
  // How large an answer may be is the driver's to say.
  arguments.SetMaxReceiveMessageSize(-1);
  stub_ = v1::DriverService::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
}

void Driver::authorize(grpc::ClientContext& context) const {
  // gRPC's own call credentials would refuse to send a token without TLS, which loopback needs not have.
  if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
}

DriverError explain(const grpc::Status& status) {
  DriverError explained;
  explained.status = google::rpc::Code_Name(static_cast<google::rpc::Code>(status.error_code()));
  explained.message = status.error_message();
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    if (detail.UnpackTo(&info)) {
      explained.reason = info.reason();
      const auto code = info.metadata().find("sqlite_code");
      if (code != info.metadata().end()) explained.sqlite_code = code->second;
    } else if (detail.UnpackTo(&request)) {
      explained.field = request.field_violations(0).field();
    } else if (detail.Is<google::rpc::RetryInfo>()) {
      explained.is_retryable = true;
    }
  }
  return explained;
}
