package example;

import com.google.gson.Gson;
import io.grpc.internal.GrpcUtil;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Runs the conformance scenario: {@code example.Conformance SCENARIO SOURCE_DIRECTORY REPORT}. */
final class Conformance {
  private Conformance() {}

  public static void main(String[] arguments) throws Exception {
    Scenario scenario = new Gson().fromJson(Files.readString(Path.of(arguments[0])), Scenario.class);
    List<String> entries = new ArrayList<>();
    boolean hasFailed = false;
    try (Connection connection = new Connection()) {
      for (Scenario.Case example : scenario.cases()) {
        Calls calls = new Calls(connection.driver(), Path.of(arguments[1]));
        List<String> outcome = example.steps().stream().flatMap(step -> calls.run(step).stream()).toList();
        boolean hasPassed = outcome.equals(example.expect());
        hasFailed |= !hasPassed;
        String lines = outcome.stream().map(line -> '"' + line + '"').collect(Collectors.joining(","));
        entries.add(
            String.format("{\"name\":\"%s\",\"passed\":%b,\"outcome\":[%s]}", example.name(), hasPassed, lines));
      }
    }
    Files.writeString(Path.of(arguments[2]), "{\"cases\":[\n" + String.join(",\n", entries) + "\n]}\n");
    String version = GrpcUtil.getGrpcBuildVersion().getImplementationVersion();
    System.out.printf("Java|protoc-gen-grpc-java %s|grpc-java %s%n", version, version);
    System.exit(hasFailed ? 1 : 0);
  }
}
