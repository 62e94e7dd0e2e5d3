// Command conformance runs the conformance scenario: conformance SCENARIO SOURCE_DIRECTORY REPORT.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"google.golang.org/grpc"

	driver "codeanalysis.example"
)

func main() {
	scenarioPath, source, reportPath := os.Args[1], os.Args[2], os.Args[3]
	text, err := os.ReadFile(scenarioPath)
	must(err)
	var scenario scenarioFile
	must(json.Unmarshal(text, &scenario))
	client, connection, err := driver.Connect()
	must(err)
	defer connection.Close()

	var entries []string
	hasFailed := false
	for _, example := range scenario.Cases {
		runner := &runner{client: client, source: source, transactions: map[string]string{}}
		var outcome []string
		for _, step := range example.Steps {
			outcome = append(outcome, runner.run(step)...)
		}
		hasPassed := slices.Equal(outcome, example.Expect)
		hasFailed = hasFailed || !hasPassed
		lines := `"` + strings.Join(outcome, `","`) + `"`
		entries = append(entries, fmt.Sprintf(`{"name":"%s","passed":%t,"outcome":[%s]}`, example.Name, hasPassed, lines))
	}
	report := "{\"cases\":[\n" + strings.Join(entries, ",\n") + "\n]}\n"
	must(os.WriteFile(reportPath, []byte(report), 0o644))
	fmt.Printf("Go|protoc-gen-go-grpc %s|grpc-go %s\n", generatorVersion, grpc.Version)
	if hasFailed {
		os.Exit(1)
	}
}

// generatorVersion is that of go.mod; nothing of the tool is in this program to ask.
const generatorVersion = "1.6.2"

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
