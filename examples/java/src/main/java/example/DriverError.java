package example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;

/** What a failed call says: its status, and the details of the driver where there are some; else they are empty. */
record DriverError(
    String status, String message, String reason, String field, String sqliteCode, boolean isRetryable) {

  /** Decodes the google.rpc.Status in the trailer grpc-status-details-bin. */
  static DriverError of(StatusRuntimeException error) {
    String reason = "";
    String field = "";
    String sqliteCode = "";
    boolean isRetryable = false;
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          sqliteCode = info.getMetadataOrDefault("sqlite_code", "");
        } else if (detail.is(BadRequest.class)) {
          field = detail.unpack(BadRequest.class).getFieldViolations(0).getField();
        } else if (detail.is(RetryInfo.class)) {
          isRetryable = true;
        }
      }
    } catch (InvalidProtocolBufferException malformed) {
      error.addSuppressed(malformed);
    }
    String status = error.getStatus().getCode().name();
    return new DriverError(status, error.getStatus().getDescription(), reason, field, sqliteCode, isRetryable);
  }
}
