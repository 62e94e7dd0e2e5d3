package example;

import code_analysis.driver.v1.BeginTransactionRequest;
import code_analysis.driver.v1.CommitTransactionRequest;
import code_analysis.driver.v1.DriverServiceGrpc.DriverServiceBlockingStub;
import code_analysis.driver.v1.ExecuteRequest;
import code_analysis.driver.v1.IndexFileRequest;
import code_analysis.driver.v1.IndexProgress;
import code_analysis.driver.v1.IndexProjectRequest;
import code_analysis.driver.v1.QueryRequest;
import code_analysis.driver.v1.RegisterProjectRequest;
import code_analysis.driver.v1.RollbackTransactionRequest;
import code_analysis.driver.v1.Row;
import code_analysis.driver.v1.SearchCodeRequest;
import code_analysis.driver.v1.SearchHit;
import code_analysis.driver.v1.Value;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.UUID;

/** Indexes a directory and asks about it: {@code example.Example DIR}. */
final class Example {
  private final DriverServiceBlockingStub driver;
  private final String projectId;

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 1) {
      System.err.println("usage: example.Example DIR");
      System.exit(1);
    }
    try (Connection connection = new Connection()) {
      Example example = new Example(connection.driver(), Path.of(arguments[0]).toRealPath());
      example.index();
      example.listLargestClasses();
      example.takeNotes();
      example.askForWhatIsNotThere();
      example.search();
    }
  }

  private Example(DriverServiceBlockingStub driver, Path root) {
    this.driver = driver;
    RegisterProjectRequest request = RegisterProjectRequest.newBuilder().setRootPath(root.toString()).build();
    projectId = driver.registerProject(request).getProject().getId();
  }

  /** Indexes the project and shows how far it is. */
  private void index() {
    IndexProjectRequest request = IndexProjectRequest.newBuilder().setProjectId(projectId).build();
    IndexProgress progress = IndexProgress.getDefaultInstance();
    var messages = driver.indexProject(request);
    while (messages.hasNext()) {
      progress = messages.next().getProgress();
      System.out.printf("\r%d/%d files", progress.getFilesDone(), progress.getFilesTotal());
    }
    System.out.printf(
        ", %d indexed, %d unchanged, %d failed%n",
        progress.getFilesIndexed(), progress.getFilesUnchanged(), progress.getFilesFailed());
  }

  /** Streams the rows of a query, however many there are. */
  private void listLargestClasses() {
    QueryRequest request =
        QueryRequest.newBuilder()
            .setSql(
                "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id"
                    + " GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?")
            .addParameters(Value.newBuilder().setIntegerValue(3))
            .build();
    var messages = driver.query(request);
    while (messages.hasNext()) {
      for (Row row : messages.next().getRowsList()) {
        System.out.printf(
            "class %s: %d methods%n", row.getValues(0).getTextValue(), row.getValues(1).getIntegerValue());
      }
    }
  }

  /** Makes a table and a row in one transaction: both or none. A request id makes the commit safe to repeat. */
  private void takeNotes() {
    String transactionId =
        driver.beginTransaction(BeginTransactionRequest.getDefaultInstance()).getTransactionId();
    try {
      ExecuteRequest.Builder request = ExecuteRequest.newBuilder().setTransactionId(transactionId);
      driver.execute(
          request.setSql("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)").build());
      driver.execute(
          request
              .setSql("INSERT INTO notes (text) VALUES (?)")
              .addParameters(Value.newBuilder().setTextValue("written from Java"))
              .build());
    } catch (StatusRuntimeException error) {
      driver.rollbackTransaction(
          RollbackTransactionRequest.newBuilder().setTransactionId(transactionId).build());
      throw error;
    }
    driver.commitTransaction(
        CommitTransactionRequest.newBuilder()
            .setTransactionId(transactionId)
            .setRequestId(UUID.randomUUID().toString())
            .build());
    System.out.println("committed a note");
  }

  /** Handles one error by its reason. */
  private void askForWhatIsNotThere() {
    try {
      driver.indexFile(
          IndexFileRequest.newBuilder().setProjectId(projectId).setFilePath("no/such/file.py").build());
    } catch (StatusRuntimeException error) {
      DriverError explained = DriverError.of(error);
      if (!explained.reason().equals("FILE_NOT_FOUND")) {
        throw error;
      }
      System.out.printf("%s %s: %s%n", explained.status(), explained.reason(), explained.message());
    }
  }

  /** Searches names and text. */
  private void search() {
    SearchCodeRequest request =
        SearchCodeRequest.newBuilder().setQuery("read*").setProjectId(projectId).setPageSize(3).build();
    for (SearchHit hit : driver.searchCode(request).getHitsList()) {
      System.out.printf("%s:%d %s%n", hit.getFilePath(), hit.getLine(), hit.getEntityName());
    }
  }
}
