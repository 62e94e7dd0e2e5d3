package example;

import com.google.gson.annotations.SerializedName;
import java.util.List;
import java.util.Map;

/** The scenario file; test/conformance/README.md defines it. What a step does not have is null, 0 or false. */
record Scenario(List<Case> cases) {
  record Case(String name, List<Step> steps, List<String> expect) {}

  record Statement(String sql, List<String> parameters, Map<String, String> named) {}

  record Where(String column, String operator, String value) {}

  /** One call with its arguments; which of them a call has follows from its name. */
  record Step(
      String call,
      String sql,
      List<String> parameters,
      Map<String, String> named,
      @SerializedName("timeout_ms") int timeoutMs,
      @SerializedName("max_rows") int maxRows,
      @SerializedName("request_id") String requestId,
      @SerializedName("cancel_after") long cancelAfter,
      List<Statement> statements,
      String as,
      String in,
      @SerializedName("ttl_ms") int ttlMs,
      String table,
      List<String> columns,
      List<List<String>> rows,
      @SerializedName("on_conflict") String onConflict,
      Map<String, String> set,
      Where where,
      @SerializedName("order_by") String orderBy,
      Long limit,
      String project,
      String id,
      String root,
      String path,
      boolean force,
      String query) {}
}
