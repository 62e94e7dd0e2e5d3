package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"google.golang.org/grpc"

	driver "codeanalysis.example"
	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

// Answers and errors as lines of the report.

// A longer result is reported as its number of rows and a checksum.
const longRows = 20

type result interface {
	GetColumns() []*driverv1.Column
	GetRows() []*driverv1.Row
}

type statementResult interface {
	result
	GetTruncated() bool
	GetAffectedRows() int64
}

func describeResult(answer statementResult, rowid *int64) []string {
	var lines []string
	if len(answer.GetColumns()) > 0 {
		lines = append(lines, describeColumns(answer.GetColumns()))
	}
	for _, row := range answer.GetRows() {
		lines = append(lines, describeRow(row))
	}
	if answer.GetTruncated() {
		lines = append(lines, "truncated")
	}
	return append(lines, describeChange(answer.GetAffectedRows(), rowid)...)
}

func describeChange(affectedRows int64, rowid *int64) []string {
	lines := []string{fmt.Sprintf("affected %d", affectedRows)}
	if rowid != nil {
		lines = append(lines, fmt.Sprintf("rowid %d", *rowid))
	}
	return lines
}

// describeStream reads a stream to its end, or until cancelAfter rows have come, when that is not 0.
func describeStream[Message any, Pointer interface {
	*Message
	result
}](stream grpc.ServerStreamingClient[Message], cancel func(), cancelAfter int) ([]string, error) {
	var lines []string
	var checksum uint32
	count, isCancelled := 0, false
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil && isCancelled {
			return []string{"cancelled"}, nil
		}
		if err != nil {
			return nil, err
		}
		answer := Pointer(message)
		if len(answer.GetColumns()) > 0 {
			lines = append(lines, describeColumns(answer.GetColumns()))
		}
		for _, row := range answer.GetRows() {
			line := describeRow(row)
			checksum = crc32.Update(checksum, crc32.IEEETable, []byte(line+"\n"))
			if count++; count <= longRows {
				lines = append(lines, line)
			}
		}
		if cancelAfter > 0 && count >= cancelAfter {
			cancel()
			isCancelled = true
		}
	}
	if count > longRows {
		lines = []string{lines[0], fmt.Sprintf("rows %d crc32=%08x", count, checksum)}
	}
	return lines, nil
}

func describeColumns(columns []*driverv1.Column) string {
	var line strings.Builder
	line.WriteString("columns")
	for _, column := range columns {
		line.WriteString(" " + quote(column.Name))
	}
	return line.String()
}

func describeRow(row *driverv1.Row) string {
	var line strings.Builder
	line.WriteString("row")
	for _, value := range row.Values {
		line.WriteString(" " + fromValue(value))
	}
	return line.String()
}

func describeError(err error) string {
	explained := driver.Explain(err)
	line := "error " + explained.Status
	switch explained.Status {
	case "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED":
		// These may come from the client's side of gRPC, which knows no reasons.
		return line
	}
	line += " " + explained.Reason
	if explained.Field != "" {
		line += " field=" + explained.Field
	}
	if explained.SQLiteCode != "" {
		line += " sqlite_code=" + explained.SQLiteCode
	}
	if explained.IsRetryable {
		line += " retry"
	}
	return line
}
