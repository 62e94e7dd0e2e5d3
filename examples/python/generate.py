"""Generates the stubs from the proto files into `generated/`."""

from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"
OUT = HERE / "generated"

# Where grpcio-tools keeps the well-known types.
WELL_KNOWN = files("grpc_tools") / "_proto"

OUT.mkdir(exist_ok=True)
sources = [str(path) for path in PROTO.glob("code_analysis/**/*.proto")]
outputs = [f"--{kind}_out={OUT}" for kind in ("python", "pyi", "grpc_python")]
raise SystemExit(protoc.main(["protoc", f"--proto_path={PROTO}", f"--proto_path={WELL_KNOWN}", *outputs, *sources]))
