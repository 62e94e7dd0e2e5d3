//! Runs the conformance scenario: `conformance SCENARIO SOURCE_DIRECTORY REPORT`.

mod calls;
mod canonical;
mod describe;
mod scenario;

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use code_analysis_driver_example::connect;

use crate::calls::Runner;
use crate::scenario::Scenario;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, scenario_path, source, report_path] = &arguments[..] else {
        return Err("usage: conformance SCENARIO SOURCE_DIRECTORY REPORT".into());
    };
    let scenario: Scenario = serde_json::from_str(&fs::read_to_string(scenario_path)?)?;
    let driver = connect().await?;
    let mut entries = Vec::new();
    let mut has_failed = false;
    for case in &scenario.cases {
        let mut runner = Runner {
            driver: driver.clone(),
            source: source.into(),
            transactions: HashMap::new(),
        };
        let mut outcome = Vec::new();
        for step in &case.steps {
            outcome.extend(runner.run(step).await);
        }
        let has_passed = outcome == case.expect;
        has_failed |= !has_passed;
        let lines: Vec<_> = outcome.iter().map(|line| format!("\"{line}\"")).collect();
        entries.push(format!(
            "{{\"name\":\"{}\",\"passed\":{has_passed},\"outcome\":[{}]}}",
            case.name,
            lines.join(",")
        ));
    }
    fs::write(report_path, format!("{{\"cases\":[\n{}\n]}}\n", entries.join(",\n")))?;
    // The versions of Cargo.toml, which pins them.
    println!("Rust|tonic-prost-build 0.14.9|tonic 0.14.9");
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
