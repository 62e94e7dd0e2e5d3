//! Answers and errors as lines of the report.

use code_analysis_driver_example::explain;
use code_analysis_driver_example::v1::{
    Column, ExecuteResponse, QueryResponse, Row, SelectResponse, StatementResult,
};
use tonic::{Status, Streaming};

use crate::canonical::{from_value, percent_encode};

/// A longer result is reported as its number of rows and a checksum.
const LONG_ROWS: u64 = 20;

pub type Lines = Result<Vec<String>, Status>;

pub fn describe_execute(answer: ExecuteResponse) -> Vec<String> {
    describe_result(StatementResult {
        columns: answer.columns,
        rows: answer.rows,
        truncated: answer.truncated,
        affected_rows: answer.affected_rows,
        last_insert_rowid: answer.last_insert_rowid,
    })
}

pub fn describe_result(result: StatementResult) -> Vec<String> {
    let mut lines = Vec::new();
    if !result.columns.is_empty() {
        lines.push(describe_columns(&result.columns));
    }
    lines.extend(result.rows.iter().map(describe_row));
    if result.truncated {
        lines.push("truncated".into());
    }
    lines.extend(describe_change(result.affected_rows, result.last_insert_rowid));
    lines
}

pub fn describe_change(affected_rows: i64, rowid: Option<i64>) -> Vec<String> {
    let affected = format!("affected {affected_rows}");
    std::iter::once(affected).chain(rowid.map(|rowid| format!("rowid {rowid}"))).collect()
}

/// One message of a stream of rows.
pub struct Rows {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl From<QueryResponse> for Rows {
    fn from(QueryResponse { columns, rows }: QueryResponse) -> Self {
        Self { columns, rows }
    }
}

impl From<SelectResponse> for Rows {
    fn from(SelectResponse { columns, rows }: SelectResponse) -> Self {
        Self { columns, rows }
    }
}

/// Reads a stream to its end, or until so many rows have come; to drop it is to cancel it.
pub async fn describe_stream<Message: Into<Rows>>(
    mut stream: Streaming<Message>,
    cancel_after: Option<u64>,
) -> Lines {
    let mut lines = Vec::new();
    let mut checksum = crc32fast::Hasher::new();
    let mut count = 0;
    while let Some(message) = stream.message().await? {
        let Rows { columns, rows } = message.into();
        if !columns.is_empty() {
            lines.push(describe_columns(&columns));
        }
        for row in &rows {
            let line = describe_row(row);
            checksum.update(line.as_bytes());
            checksum.update(b"\n");
            count += 1;
            if count <= LONG_ROWS {
                lines.push(line);
            }
        }
        if cancel_after.is_some_and(|rows| count >= rows) {
            return Ok(vec!["cancelled".into()]);
        }
    }
    if count > LONG_ROWS {
        lines.truncate(1);
        lines.push(format!("rows {count} crc32={:08x}", checksum.finalize()));
    }
    Ok(lines)
}

fn describe_columns(columns: &[Column]) -> String {
    let names = columns.iter().map(|column| percent_encode(column.name.as_bytes()));
    std::iter::once("columns".into()).chain(names).collect::<Vec<_>>().join(" ")
}

fn describe_row(row: &Row) -> String {
    std::iter::once("row".into()).chain(row.values.iter().map(from_value)).collect::<Vec<_>>().join(" ")
}

pub fn describe_error(error: &Status) -> String {
    let explained = explain(error);
    let mut line = format!("error {}", explained.status);
    // These three may come from the client's side of gRPC, which knows no reasons.
    if ["CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"].contains(&explained.status.as_str()) {
        return line;
    }
    line += &format!(" {}", explained.reason);
    if !explained.field.is_empty() {
        line += &format!(" field={}", explained.field);
    }
    if !explained.sqlite_code.is_empty() {
        line += &format!(" sqlite_code={}", explained.sqlite_code);
    }
    if explained.is_retryable {
        line += " retry";
    }
    line
}
