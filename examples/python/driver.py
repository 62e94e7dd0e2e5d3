"""Connects to a driver, and reads what its errors say."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.insert(0, str(Path(__file__).resolve().parent / "generated"))
from code_analysis.driver.v1 import driver_service_pb2_grpc  # noqa: E402

# How large an answer may be is the driver's to say.
OPTIONS = [("grpc.max_receive_message_length", -1)]


def connect() -> tuple[grpc.Channel, driver_service_pb2_grpc.DriverServiceStub]:
    """A channel to the driver that the environment names, and a stub on it."""
    address = os.environ.get("CODE_ANALYSIS_DRIVER_ADDRESS", "unix:data/code_analysis.db.sock")
    authority = os.environ.get("CODE_ANALYSIS_DRIVER_TLS_CA")
    token = os.environ.get("CODE_ANALYSIS_DRIVER_TOKEN")
    if authority is not None:
        credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
        channel = grpc.secure_channel(address, credentials, OPTIONS)
    else:
        channel = grpc.insecure_channel(address, OPTIONS)
    if token is not None:
        channel = grpc.intercept_channel(channel, BearerToken(token))
    return channel, driver_service_pb2_grpc.DriverServiceStub(channel)


class BearerToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends the token with every call. gRPC's own call credentials would refuse to without TLS, which loopback needs not have."""

    def __init__(self, token: str):
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def _with_token(self, details):
        return details._replace(metadata=[*(details.metadata or []), self._header])


@dataclass
class DriverError:
    """What a failed call says: its status, and the details of the driver where there are some."""

    status: str
    message: str
    reason: str = ""
    field: str = ""
    sqlite_code: str = ""
    is_retryable: bool = False


def explain(error: grpc.RpcError) -> DriverError:
    """Decodes `google.rpc.Status` in the trailer `grpc-status-details-bin`."""
    explained = DriverError(error.code().name, error.details())
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else []:
        info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            explained.reason = info.reason
            explained.sqlite_code = info.metadata.get("sqlite_code", "")
        elif detail.Unpack(request):
            explained.field = request.field_violations[0].field
        elif detail.Unpack(retry):
            explained.is_retryable = True
    return explained
