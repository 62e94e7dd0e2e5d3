package example;

import code_analysis.driver.v1.Column;
import code_analysis.driver.v1.Row;
import io.grpc.Context.CancellableContext;
import io.grpc.StatusRuntimeException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.zip.CRC32;

/** Answers and errors as lines of the report. */
final class Lines {
  /** A longer result is reported as its number of rows and a checksum. */
  private static final long LONG_ROWS = 20;

  /** Statuses that may come from the client's side of gRPC, which knows no reasons. */
  private static final Set<String> WITHOUT_REASON = Set.of("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED");

  private Lines() {}

  static List<String> ofResult(
      List<Column> columns, List<Row> rows, boolean isTruncated, long affectedRows, Long rowid) {
    List<String> lines = new ArrayList<>();
    if (!columns.isEmpty()) {
      lines.add(ofColumns(columns));
    }
    rows.forEach(row -> lines.add(ofRow(row)));
    if (isTruncated) {
      lines.add("truncated");
    }
    lines.addAll(ofChange(affectedRows, rowid));
    return lines;
  }

  static List<String> ofChange(long affectedRows, Long rowid) {
    String affected = "affected " + affectedRows;
    return rowid == null ? List.of(affected) : List.of(affected, "rowid " + rowid);
  }

  /** Reads a stream to its end, or cancels it once so many rows have come, when that is not 0. */
  static <M> List<String> ofStream(
      Iterator<M> messages,
      Function<M, List<Column>> columnsOf,
      Function<M, List<Row>> rowsOf,
      CancellableContext context,
      long cancelAfter) {
    List<String> lines = new ArrayList<>();
    CRC32 checksum = new CRC32();
    long count = 0;
    while (messages.hasNext()) {
      M message = messages.next();
      if (!columnsOf.apply(message).isEmpty()) {
        lines.add(ofColumns(columnsOf.apply(message)));
      }
      for (Row row : rowsOf.apply(message)) {
        String line = ofRow(row);
        checksum.update((line + "\n").getBytes(StandardCharsets.US_ASCII));
        if (++count <= LONG_ROWS) {
          lines.add(line);
        }
      }
      if (cancelAfter > 0 && count >= cancelAfter) {
        context.cancel(null);
        return List.of("cancelled");
      }
    }
    if (count <= LONG_ROWS) {
      return lines;
    }
    return List.of(lines.get(0), String.format("rows %d crc32=%08x", count, checksum.getValue()));
  }

  private static String ofColumns(List<Column> columns) {
    return columns.stream()
        .map(column -> " " + Canonical.percentEncode(column.getName()))
        .collect(Collectors.joining("", "columns", ""));
  }

  private static String ofRow(Row row) {
    return row.getValuesList().stream()
        .map(value -> " " + Canonical.fromValue(value))
        .collect(Collectors.joining("", "row", ""));
  }

  static String ofError(StatusRuntimeException error) {
    DriverError explained = DriverError.of(error);
    String line = "error " + explained.status();
    if (WITHOUT_REASON.contains(explained.status())) {
      return line;
    }
    line += " " + explained.reason();
    if (!explained.field().isEmpty()) {
      line += " field=" + explained.field();
    }
    if (!explained.sqliteCode().isEmpty()) {
      line += " sqlite_code=" + explained.sqliteCode();
    }
    return explained.isRetryable() ? line + " retry" : line;
  }
}
