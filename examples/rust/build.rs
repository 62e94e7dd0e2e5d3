//! Generates the stubs from the proto files, with the protoc that the crate `protoc-bin-vendored` brings along.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = prost_build::Config::new();
    config.protoc_executable(protoc_bin_vendored::protoc_bin_path()?);
    let service = "../../proto/code_analysis/driver/v1/driver_service.proto";
    tonic_prost_build::configure()
        .build_server(false)
        .compile_with_config(config, &[service], &["../../proto"])?;
    println!("cargo:rerun-if-changed=../../proto");
    Ok(())
}
