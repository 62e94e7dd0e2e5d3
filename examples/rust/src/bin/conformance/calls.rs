//! What each call of a scenario does. Every message ends in `..Default::default()`, also where each field is named: a field
//! that the protocol gets later must not break a client.
#![allow(clippy::needless_update)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_analysis_driver_example::Driver;
use code_analysis_driver_example::v1::*;
use tonic::Request;

use crate::canonical::to_value;
use crate::describe::{Lines, describe_change, describe_error, describe_execute, describe_result, describe_stream};
use crate::scenario::{Step, Where};

/// Executes the steps of a case.
pub struct Runner {
    pub driver: Driver,
    pub source: PathBuf,
    /// Ids by the names that the case gives them.
    pub transactions: HashMap<String, String>,
}

impl Runner {
    pub async fn run(&mut self, step: &Step) -> Vec<String> {
        let lines = match step.call.as_str() {
            "Execute" => self.execute(step).await,
            "ExecuteBatch" => self.execute_batch(step).await,
            "Query" => self.query(step).await,
            "BeginTransaction" => self.begin_transaction(step).await,
            "CommitTransaction" => self.commit_transaction(step).await,
            "RollbackTransaction" => self.rollback_transaction(step).await,
            "Insert" => self.insert(step).await,
            "Update" => self.update(step).await,
            "Delete" => self.delete(step).await,
            "Select" => self.select(step).await,
            "RegisterProject" => self.register_project(step).await,
            "IndexFile" => self.index_file(step).await,
            "IndexProject" => self.index_project(step).await,
            "ListIndexingErrors" => self.list_indexing_errors(step).await,
            "SearchCode" => self.search_code(step).await,
            unknown => panic!("the scenario has an unknown call {unknown}"),
        };
        lines.unwrap_or_else(|error| vec![describe_error(&error)])
    }

    async fn execute(&mut self, step: &Step) -> Lines {
        let message = ExecuteRequest {
            sql: step.statement.sql.clone(),
            parameters: to_values(&step.statement.parameters),
            named_parameters: to_named_values(&step.statement.named),
            max_rows: step.max_rows,
            transaction_id: self.transaction(step),
            request_id: step.request_id.clone(),
            ..Default::default()
        };
        Ok(describe_execute(self.driver.execute(request(step, message)).await?.into_inner()))
    }

    async fn execute_batch(&mut self, step: &Step) -> Lines {
        let statements = step.statements.iter().map(|statement| Statement {
            sql: statement.sql.clone(),
            parameters: to_values(&statement.parameters),
            named_parameters: to_named_values(&statement.named),
        });
        let message = ExecuteBatchRequest {
            statements: statements.collect(),
            transaction_id: self.transaction(step),
            ..Default::default()
        };
        let answer = self.driver.execute_batch(request(step, message)).await?.into_inner();
        let mut lines = Vec::new();
        for (index, result) in answer.results.into_iter().enumerate() {
            lines.push(format!("result {index}"));
            lines.extend(describe_result(result));
        }
        Ok(lines)
    }

    async fn query(&mut self, step: &Step) -> Lines {
        let message = QueryRequest {
            sql: step.statement.sql.clone(),
            parameters: to_values(&step.statement.parameters),
            named_parameters: to_named_values(&step.statement.named),
            transaction_id: self.transaction(step),
            ..Default::default()
        };
        let stream = self.driver.query(request(step, message)).await?.into_inner();
        describe_stream(stream, step.cancel_after).await
    }

    async fn begin_transaction(&mut self, step: &Step) -> Lines {
        let ttl = step.ttl_ms.map(|ms| prost_types::Duration {
            seconds: (ms / 1000) as i64,
            nanos: (ms % 1000) as i32 * 1_000_000,
        });
        let begun = self.driver.begin_transaction(request(step, BeginTransactionRequest { ttl, ..Default::default() })).await?;
        self.transactions.insert(step.begins.clone(), begun.into_inner().transaction_id);
        Ok(vec!["begun".into()])
    }

    async fn commit_transaction(&mut self, step: &Step) -> Lines {
        let message = CommitTransactionRequest {
            transaction_id: self.transaction(step),
            request_id: step.request_id.clone(),
            ..Default::default()
        };
        self.driver.commit_transaction(request(step, message)).await?;
        Ok(vec!["committed".into()])
    }

    async fn rollback_transaction(&mut self, step: &Step) -> Lines {
        let message = RollbackTransactionRequest { transaction_id: self.transaction(step), ..Default::default() };
        self.driver.rollback_transaction(request(step, message)).await?;
        Ok(vec!["rolled back".into()])
    }

    async fn insert(&mut self, step: &Step) -> Lines {
        let action = format!("CONFLICT_ACTION_{}", step.on_conflict.as_deref().unwrap_or("UNSPECIFIED"));
        let message = InsertRequest {
            table: step.table.clone(),
            columns: step.columns.clone(),
            rows: step.rows.iter().map(|row| Row { values: to_values(row) }).collect(),
            on_conflict: ConflictAction::from_str_name(&action).expect("a conflict action").into(),
            ..Default::default()
        };
        let answer = self.driver.insert(request(step, message)).await?.into_inner();
        Ok(describe_change(answer.affected_rows, answer.last_insert_rowid))
    }

    async fn update(&mut self, step: &Step) -> Lines {
        let message = UpdateRequest {
            table: step.table.clone(),
            set: to_named_values(&step.set),
            r#where: step.filter.as_ref().map(condition),
            ..Default::default()
        };
        let answer = self.driver.update(request(step, message)).await?.into_inner();
        Ok(describe_change(answer.affected_rows, None))
    }

    async fn delete(&mut self, step: &Step) -> Lines {
        let message = DeleteRequest {
            table: step.table.clone(),
            r#where: step.filter.as_ref().map(condition),
            ..Default::default()
        };
        let answer = self.driver.delete(request(step, message)).await?.into_inner();
        Ok(describe_change(answer.affected_rows, None))
    }

    async fn select(&mut self, step: &Step) -> Lines {
        let order = step.order_by.iter().map(|column| OrderBy { column: column.clone(), is_descending: false });
        let message = SelectRequest {
            table: step.table.clone(),
            columns: step.columns.clone(),
            r#where: step.filter.as_ref().map(condition),
            order_by: order.collect(),
            limit: step.limit,
            ..Default::default()
        };
        let stream = self.driver.select(request(step, message)).await?.into_inner();
        describe_stream(stream, None).await
    }

    async fn register_project(&mut self, step: &Step) -> Lines {
        let root = if step.root == "." { self.source.clone() } else { self.source.join(&step.root) };
        let message = RegisterProjectRequest {
            root_path: root.display().to_string(),
            id: step.id.clone(),
            ..Default::default()
        };
        let answer = self.driver.register_project(request(step, message)).await?.into_inner();
        let project = answer.project.unwrap_or_default();
        Ok(vec![format!("project {} created={}", project.id, answer.created)])
    }

    async fn index_file(&mut self, step: &Step) -> Lines {
        let message = IndexFileRequest {
            project_id: step.project.clone(),
            file_path: step.path.clone(),
            force: step.force,
            ..Default::default()
        };
        let file = self.driver.index_file(request(step, message)).await?.into_inner();
        let counts = file.counts.unwrap_or_default();
        Ok(vec![format!(
            "file {} language={} lines={} unchanged={} classes={} methods={} functions={} imports={}",
            file.file_path,
            file.language,
            file.lines,
            file.unchanged,
            counts.classes,
            counts.methods,
            counts.functions,
            counts.imports
        )])
    }

    async fn index_project(&mut self, step: &Step) -> Lines {
        let message = IndexProjectRequest { project_id: step.project.clone(), ..Default::default() };
        let mut stream = self.driver.index_project(request(step, message)).await?.into_inner();
        let mut progress = IndexProgress::default();
        while let Some(message) = stream.message().await? {
            progress = message.progress.unwrap_or_default();
        }
        Ok(vec![format!(
            "files total={} indexed={} unchanged={} failed={} deleted={}",
            progress.files_total,
            progress.files_indexed,
            progress.files_unchanged,
            progress.files_failed,
            progress.files_deleted
        )])
    }

    async fn list_indexing_errors(&mut self, step: &Step) -> Lines {
        let message = ListIndexingErrorsRequest { project_id: step.project.clone(), ..Default::default() };
        let answer = self.driver.list_indexing_errors(request(step, message)).await?.into_inner();
        let describe = |failure: &IndexingError| {
            let name = Path::new(&failure.file_path).file_name().unwrap_or_default().display().to_string();
            format!("failure {name} {}", failure.error_type)
        };
        Ok(answer.errors.iter().map(describe).collect())
    }

    async fn search_code(&mut self, step: &Step) -> Lines {
        let message = SearchCodeRequest {
            query: step.query.clone(),
            project_id: step.project.clone(),
            ..Default::default()
        };
        let answer = self.driver.search_code(request(step, message)).await?.into_inner();
        let describe = |hit: &SearchHit| {
            let kind = hit.entity.unwrap_or_default().kind;
            format!("hit {} kind={kind} {}:{}", hit.entity_name, hit.file_path, hit.line)
        };
        Ok(answer.hits.iter().map(describe).collect())
    }

    /// The id of the transaction that the step names; a name that none has stands for itself.
    fn transaction(&self, step: &Step) -> String {
        self.transactions.get(&step.transaction).unwrap_or(&step.transaction).clone()
    }
}

fn request<Message>(step: &Step, message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    if let Some(timeout_ms) = step.timeout_ms {
        request.set_timeout(Duration::from_millis(timeout_ms));
    }
    request
}

fn condition(filter: &Where) -> Condition {
    let operator = format!("COMPARISON_OPERATOR_{}", filter.operator);
    Condition {
        kind: Some(condition::Kind::Comparison(Comparison {
            column: filter.column.clone(),
            operator: ComparisonOperator::from_str_name(&operator).expect("an operator").into(),
            value: Some(to_value(&filter.value)),
        })),
    }
}

fn to_values(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|text| to_value(text)).collect()
}

fn to_named_values(texts: &HashMap<String, String>) -> HashMap<String, Value> {
    texts.iter().map(|(name, text)| (name.clone(), to_value(text))).collect()
}
