//! The scenario file; test/conformance/README.md defines it.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Scenario {
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub steps: Vec<Step>,
    pub expect: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Statement {
    pub sql: String,
    pub parameters: Vec<String>,
    pub named: HashMap<String, String>,
}

#[derive(Deserialize)]
pub struct Where {
    pub column: String,
    pub operator: String,
    pub value: String,
}

/// One call with its arguments; which of them a call has follows from its name.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Step {
    pub call: String,
    #[serde(flatten)]
    pub statement: Statement,
    pub timeout_ms: Option<u64>,
    pub max_rows: u32,
    pub request_id: String,
    pub cancel_after: Option<u64>,
    pub statements: Vec<Statement>,
    #[serde(rename = "as")]
    pub begins: String,
    #[serde(rename = "in")]
    pub transaction: String,
    pub ttl_ms: Option<u64>,
    pub table: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub on_conflict: Option<String>,
    pub set: HashMap<String, String>,
    #[serde(rename = "where")]
    pub filter: Option<Where>,
    pub order_by: Option<String>,
    pub limit: Option<u64>,
    pub project: String,
    pub id: Option<String>,
    pub root: String,
    pub path: String,
    pub force: bool,
    pub query: String,
}
