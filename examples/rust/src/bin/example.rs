//! Indexes a directory and asks about it: `example DIR`.

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;

use code_analysis_driver_example::v1::value::Kind;
use code_analysis_driver_example::v1::{
    BeginTransactionRequest, CommitTransactionRequest, ExecuteRequest, IndexFileRequest,
    IndexProjectRequest, QueryRequest, RegisterProjectRequest, RollbackTransactionRequest,
    SearchCodeRequest, Value,
};
use code_analysis_driver_example::{Driver, connect, explain};
use tonic::Status;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let directory = env::args().nth(1).ok_or("usage: example DIR")?;
    let mut driver = connect().await?;
    let root_path = fs::canonicalize(directory)?.display().to_string();
    let request = RegisterProjectRequest { root_path, ..Default::default() };
    let project = driver.register_project(request).await?.into_inner().project.unwrap_or_default();

    index(&mut driver, &project.id).await?;
    list_largest_classes(&mut driver).await?;
    take_notes(&mut driver).await?;
    ask_for_what_is_not_there(&mut driver, &project.id).await?;
    search(&mut driver, &project.id).await
}

/// Indexes the project and shows how far it is.
async fn index(driver: &mut Driver, project_id: &str) -> Result<()> {
    let request = IndexProjectRequest { project_id: project_id.into(), ..Default::default() };
    let mut stream = driver.index_project(request).await?.into_inner();
    let mut progress = Default::default();
    while let Some(message) = stream.message().await? {
        progress = message.progress.unwrap_or_default();
        print!("\r{}/{} files", progress.files_done, progress.files_total);
        std::io::stdout().flush()?;
    }
    println!(
        ", {} indexed, {} unchanged, {} failed",
        progress.files_indexed, progress.files_unchanged, progress.files_failed
    );
    Ok(())
}

/// Streams the rows of a query, however many there are.
async fn list_largest_classes(driver: &mut Driver) -> Result<()> {
    let request = QueryRequest {
        sql: "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id \
              GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?"
            .into(),
        parameters: vec![Value { kind: Some(Kind::IntegerValue(3)) }],
        ..Default::default()
    };
    let mut stream = driver.query(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        for row in message.rows {
            if let [Some(Kind::TextValue(name)), Some(Kind::IntegerValue(methods))] =
                &row.values.into_iter().map(|value| value.kind).collect::<Vec<_>>()[..]
            {
                println!("class {name}: {methods} methods");
            }
        }
    }
    Ok(())
}

/// Makes a table and a row in one transaction: both or none. A request id makes the commit safe to repeat.
async fn take_notes(driver: &mut Driver) -> Result<()> {
    let begun = driver.begin_transaction(BeginTransactionRequest::default()).await?.into_inner();
    let transaction_id = begun.transaction_id;
    if let Err(error) = write_notes(driver, &transaction_id).await {
        driver.rollback_transaction(RollbackTransactionRequest { transaction_id }).await?;
        return Err(error.into());
    }
    let request_id = uuid::Uuid::new_v4().to_string();
    driver.commit_transaction(CommitTransactionRequest { transaction_id, request_id }).await?;
    println!("committed a note");
    Ok(())
}

async fn write_notes(driver: &mut Driver, transaction_id: &str) -> std::result::Result<(), Status> {
    let note = Value { kind: Some(Kind::TextValue("written from Rust".into())) };
    for (sql, parameters) in [
        ("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)", vec![]),
        ("INSERT INTO notes (text) VALUES (?)", vec![note]),
    ] {
        let request = ExecuteRequest {
            sql: sql.into(),
            parameters,
            transaction_id: transaction_id.into(),
            ..Default::default()
        };
        driver.execute(request).await?;
    }
    Ok(())
}

/// Handles one error by its reason.
async fn ask_for_what_is_not_there(driver: &mut Driver, project_id: &str) -> Result<()> {
    let request = IndexFileRequest {
        project_id: project_id.into(),
        file_path: "no/such/file.py".into(),
        ..Default::default()
    };
    if let Err(error) = driver.index_file(request).await {
        let explained = explain(&error);
        if explained.reason != "FILE_NOT_FOUND" {
            return Err(error.into());
        }
        println!("{} {}: {}", explained.status, explained.reason, explained.message);
    }
    Ok(())
}

/// Searches names and text.
async fn search(driver: &mut Driver, project_id: &str) -> Result<()> {
    let request = SearchCodeRequest {
        query: "read*".into(),
        project_id: project_id.into(),
        page_size: 3,
        ..Default::default()
    };
    for hit in driver.search_code(request).await?.into_inner().hits {
        println!("{}:{} {}", hit.file_path, hit.line, hit.entity_name);
    }
    Ok(())
}
