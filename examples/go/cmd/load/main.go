// Command load indexes and writes, 16 calls at a time: load SECONDS PROJECT WRITER FILE...
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	driver "codeanalysis.example"
	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

const callsInFlight = 16

func main() {
	seconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	project, writer, files := os.Args[2], os.Args[3], os.Args[4:]
	client, connection, err := driver.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	ctx := context.Background()
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var indexed, written atomic.Int64
	var workers sync.WaitGroup
	for worker := range callsInFlight {
		workers.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				index := &driverv1.IndexFileRequest{ProjectId: project, FilePath: files[(worker+n)%len(files)], Force: true}
				if _, err := client.IndexFile(ctx, index); err != nil {
					log.Fatal(err)
				}
				indexed.Add(1)
				if _, err := client.Execute(ctx, row(writer, worker, n)); err != nil {
					log.Fatal(err)
				}
				written.Add(1)
			}
		})
	}
	workers.Wait()
	fmt.Printf("{\"indexed\":%d,\"written\":%d}\n", indexed.Load(), written.Load())
}

func row(writer string, worker, n int) *driverv1.ExecuteRequest {
	return &driverv1.ExecuteRequest{
		Sql: "INSERT INTO load_rows (writer, worker, n) VALUES (?, ?, ?)",
		Parameters: []*driverv1.Value{
			{Kind: &driverv1.Value_TextValue{TextValue: writer}},
			{Kind: &driverv1.Value_IntegerValue{IntegerValue: int64(worker)}},
			{Kind: &driverv1.Value_IntegerValue{IntegerValue: int64(n)}},
		},
		RequestId: fmt.Sprintf("%s-%d-%d", writer, worker, n),
	}
}
