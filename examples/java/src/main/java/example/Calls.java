package example;

import code_analysis.driver.v1.BeginTransactionRequest;
import code_analysis.driver.v1.CommitTransactionRequest;
import code_analysis.driver.v1.Comparison;
import code_analysis.driver.v1.ComparisonOperator;
import code_analysis.driver.v1.Condition;
import code_analysis.driver.v1.ConflictAction;
import code_analysis.driver.v1.DeleteRequest;
import code_analysis.driver.v1.DriverServiceGrpc.DriverServiceBlockingStub;
import code_analysis.driver.v1.ExecuteBatchRequest;
import code_analysis.driver.v1.ExecuteRequest;
import code_analysis.driver.v1.IndexFileRequest;
import code_analysis.driver.v1.IndexProgress;
import code_analysis.driver.v1.IndexProjectRequest;
import code_analysis.driver.v1.InsertRequest;
import code_analysis.driver.v1.ListIndexingErrorsRequest;
import code_analysis.driver.v1.OrderBy;
import code_analysis.driver.v1.QueryRequest;
import code_analysis.driver.v1.QueryResponse;
import code_analysis.driver.v1.RegisterProjectRequest;
import code_analysis.driver.v1.RollbackTransactionRequest;
import code_analysis.driver.v1.Row;
import code_analysis.driver.v1.SearchCodeRequest;
import code_analysis.driver.v1.SelectRequest;
import code_analysis.driver.v1.SelectResponse;
import code_analysis.driver.v1.Statement;
import code_analysis.driver.v1.StatementResult;
import code_analysis.driver.v1.UpdateRequest;
import code_analysis.driver.v1.Value;
import com.google.protobuf.Duration;
import example.Scenario.Step;
import example.Scenario.Where;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Executes the steps of a case; each method makes the call that it is named for and answers lines of the report. */
final class Calls {
  private final DriverServiceBlockingStub channel;
  private final Path source;

  /** Ids by the names that the case gives them. */
  private final Map<String, String> transactions = new HashMap<>();

  Calls(DriverServiceBlockingStub channel, Path source) {
    this.channel = channel;
    this.source = source;
  }

  List<String> run(Step step) {
    DriverServiceBlockingStub driver =
        step.timeoutMs() == 0 ? channel : channel.withDeadlineAfter(step.timeoutMs(), TimeUnit.MILLISECONDS);
    CancellableContext context = Context.current().withCancellation();
    Context previous = context.attach();
    try {
      return switch (step.call()) {
        case "Execute" -> execute(driver, step);
        case "ExecuteBatch" -> executeBatch(driver, step);
        case "Query" -> query(driver, step, context);
        case "BeginTransaction" -> beginTransaction(driver, step);
        case "CommitTransaction" -> commitTransaction(driver, step);
        case "RollbackTransaction" -> rollbackTransaction(driver, step);
        case "Insert" -> insert(driver, step);
        case "Update" -> update(driver, step);
        case "Delete" -> delete(driver, step);
        case "Select" -> select(driver, step, context);
        case "RegisterProject" -> registerProject(driver, step);
        case "IndexFile" -> indexFile(driver, step);
        case "IndexProject" -> indexProject(driver, step);
        case "ListIndexingErrors" -> listIndexingErrors(driver, step);
        case "SearchCode" -> searchCode(driver, step);
        default -> throw new IllegalArgumentException("The scenario has an unknown call " + step.call());
      };
    } catch (StatusRuntimeException error) {
      return List.of(Lines.ofError(error));
    } finally {
      context.detach(previous);
      context.cancel(null);
    }
  }

  private List<String> execute(DriverServiceBlockingStub driver, Step step) {
    var answer =
        driver.execute(
            ExecuteRequest.newBuilder()
                .setSql(step.sql())
                .addAllParameters(toValues(step.parameters()))
                .putAllNamedParameters(toValues(step.named()))
                .setMaxRows(step.maxRows())
                .setTransactionId(transactionOf(step))
                .setRequestId(orEmpty(step.requestId()))
                .build());
    Long rowid = answer.hasLastInsertRowid() ? answer.getLastInsertRowid() : null;
    return Lines.ofResult(
        answer.getColumnsList(), answer.getRowsList(), answer.getTruncated(), answer.getAffectedRows(), rowid);
  }

  private List<String> executeBatch(DriverServiceBlockingStub driver, Step step) {
    ExecuteBatchRequest.Builder request = ExecuteBatchRequest.newBuilder().setTransactionId(transactionOf(step));
    for (Scenario.Statement statement : step.statements()) {
      request.addStatements(
          Statement.newBuilder()
              .setSql(statement.sql())
              .addAllParameters(toValues(statement.parameters()))
              .putAllNamedParameters(toValues(statement.named())));
    }
    List<String> lines = new ArrayList<>();
    List<StatementResult> results = driver.executeBatch(request.build()).getResultsList();
    for (int index = 0; index < results.size(); index++) {
      StatementResult result = results.get(index);
      Long rowid = result.hasLastInsertRowid() ? result.getLastInsertRowid() : null;
      lines.add("result " + index);
      lines.addAll(
          Lines.ofResult(
              result.getColumnsList(), result.getRowsList(), result.getTruncated(), result.getAffectedRows(), rowid));
    }
    return lines;
  }

  private List<String> query(DriverServiceBlockingStub driver, Step step, CancellableContext context) {
    var messages =
        driver.query(
            QueryRequest.newBuilder()
                .setSql(step.sql())
                .addAllParameters(toValues(step.parameters()))
                .putAllNamedParameters(toValues(step.named()))
                .setTransactionId(transactionOf(step))
                .build());
    return Lines.ofStream(
        messages, QueryResponse::getColumnsList, QueryResponse::getRowsList, context, step.cancelAfter());
  }

  private List<String> beginTransaction(DriverServiceBlockingStub driver, Step step) {
    BeginTransactionRequest.Builder request = BeginTransactionRequest.newBuilder();
    if (step.ttlMs() > 0) {
      request.setTtl(
          Duration.newBuilder().setSeconds(step.ttlMs() / 1000).setNanos(step.ttlMs() % 1000 * 1_000_000));
    }
    transactions.put(step.as(), driver.beginTransaction(request.build()).getTransactionId());
    return List.of("begun");
  }

  private List<String> commitTransaction(DriverServiceBlockingStub driver, Step step) {
    driver.commitTransaction(
        CommitTransactionRequest.newBuilder()
            .setTransactionId(transactionOf(step))
            .setRequestId(orEmpty(step.requestId()))
            .build());
    return List.of("committed");
  }

  private List<String> rollbackTransaction(DriverServiceBlockingStub driver, Step step) {
    driver.rollbackTransaction(
        RollbackTransactionRequest.newBuilder().setTransactionId(transactionOf(step)).build());
    return List.of("rolled back");
  }

  private List<String> insert(DriverServiceBlockingStub driver, Step step) {
    String action = Objects.requireNonNullElse(step.onConflict(), "UNSPECIFIED");
    InsertRequest.Builder request =
        InsertRequest.newBuilder()
            .setTable(step.table())
            .addAllColumns(step.columns())
            .setOnConflict(ConflictAction.valueOf("CONFLICT_ACTION_" + action));
    step.rows().forEach(row -> request.addRows(Row.newBuilder().addAllValues(toValues(row))));
    var answer = driver.insert(request.build());
    return Lines.ofChange(
        answer.getAffectedRows(), answer.hasLastInsertRowid() ? answer.getLastInsertRowid() : null);
  }

  private List<String> update(DriverServiceBlockingStub driver, Step step) {
    UpdateRequest request =
        UpdateRequest.newBuilder()
            .setTable(step.table())
            .putAllSet(toValues(step.set()))
            .setWhere(condition(step.where()))
            .build();
    return Lines.ofChange(driver.update(request).getAffectedRows(), null);
  }

  private List<String> delete(DriverServiceBlockingStub driver, Step step) {
    DeleteRequest request =
        DeleteRequest.newBuilder().setTable(step.table()).setWhere(condition(step.where())).build();
    return Lines.ofChange(driver.delete(request).getAffectedRows(), null);
  }

  private List<String> select(DriverServiceBlockingStub driver, Step step, CancellableContext context) {
    SelectRequest.Builder request = SelectRequest.newBuilder().setTable(step.table());
    if (step.columns() != null) {
      request.addAllColumns(step.columns());
    }
    if (step.where() != null) {
      request.setWhere(condition(step.where()));
    }
    if (step.orderBy() != null) {
      request.addOrderBy(OrderBy.newBuilder().setColumn(step.orderBy()));
    }
    if (step.limit() != null) {
      request.setLimit(step.limit());
    }
    return Lines.ofStream(
        driver.select(request.build()), SelectResponse::getColumnsList, SelectResponse::getRowsList, context, 0);
  }

  private List<String> registerProject(DriverServiceBlockingStub driver, Step step) {
    RegisterProjectRequest.Builder request =
        RegisterProjectRequest.newBuilder().setRootPath(source.resolve(step.root()).normalize().toString());
    if (step.id() != null) {
      request.setId(step.id());
    }
    var answer = driver.registerProject(request.build());
    return List.of("project " + answer.getProject().getId() + " created=" + answer.getCreated());
  }

  private List<String> indexFile(DriverServiceBlockingStub driver, Step step) {
    var file =
        driver.indexFile(
            IndexFileRequest.newBuilder()
                .setProjectId(step.project())
                .setFilePath(step.path())
                .setForce(step.force())
                .build());
    var counts = file.getCounts();
    return List.of(
        String.format(
            "file %s language=%s lines=%d unchanged=%b classes=%d methods=%d functions=%d imports=%d",
            file.getFilePath(),
            file.getLanguage(),
            file.getLines(),
            file.getUnchanged(),
            counts.getClasses(),
            counts.getMethods(),
            counts.getFunctions(),
            counts.getImports()));
  }

  private List<String> indexProject(DriverServiceBlockingStub driver, Step step) {
    var messages = driver.indexProject(IndexProjectRequest.newBuilder().setProjectId(step.project()).build());
    IndexProgress progress = IndexProgress.getDefaultInstance();
    while (messages.hasNext()) {
      progress = messages.next().getProgress();
    }
    return List.of(
        String.format(
            "files total=%d indexed=%d unchanged=%d failed=%d deleted=%d",
            progress.getFilesTotal(),
            progress.getFilesIndexed(),
            progress.getFilesUnchanged(),
            progress.getFilesFailed(),
            progress.getFilesDeleted()));
  }

  private List<String> listIndexingErrors(DriverServiceBlockingStub driver, Step step) {
    var request = ListIndexingErrorsRequest.newBuilder().setProjectId(step.project()).build();
    return driver.listIndexingErrors(request).getErrorsList().stream()
        .map(failure -> "failure " + Path.of(failure.getFilePath()).getFileName() + " " + failure.getErrorType())
        .toList();
  }

  private List<String> searchCode(DriverServiceBlockingStub driver, Step step) {
    var request = SearchCodeRequest.newBuilder().setProjectId(step.project()).setQuery(step.query()).build();
    return driver.searchCode(request).getHitsList().stream()
        .map(
            hit ->
                String.format(
                    "hit %s kind=%d %s:%d",
                    hit.getEntityName(), hit.getEntity().getKindValue(), hit.getFilePath(), hit.getLine()))
        .toList();
  }

  /** The id of the transaction that the step names; a name that none has stands for itself. */
  private String transactionOf(Step step) {
    String name = orEmpty(step.in());
    return transactions.getOrDefault(name, name);
  }

  private static Condition condition(Where where) {
    return Condition.newBuilder()
        .setComparison(
            Comparison.newBuilder()
                .setColumn(where.column())
                .setOperator(ComparisonOperator.valueOf("COMPARISON_OPERATOR_" + where.operator()))
                .setValue(Canonical.toValue(where.value())))
        .build();
  }

  private static List<Value> toValues(List<String> texts) {
    return texts == null ? List.of() : texts.stream().map(Canonical::toValue).toList();
  }

  private static Map<String, Value> toValues(Map<String, String> texts) {
    if (texts == null) {
      return Map.of();
    }
    return texts.entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, entry -> Canonical.toValue(entry.getValue())));
  }

  private static String orEmpty(String text) {
    return Objects.requireNonNullElse(text, "");
  }
}
