// Command example indexes a directory and asks about it: example DIR.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	driver "codeanalysis.example"
	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: example DIR")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, directory string) error {
	client, connection, err := driver.Connect()
	if err != nil {
		return err
	}
	defer connection.Close()
	root, err := filepath.Abs(directory)
	if err != nil {
		return err
	}
	registered, err := client.RegisterProject(ctx, &driverv1.RegisterProjectRequest{RootPath: root})
	if err != nil {
		return err
	}
	project := registered.Project.Id
	if err := index(ctx, client, project); err != nil {
		return err
	}
	if err := listLargestClasses(ctx, client); err != nil {
		return err
	}
	if err := takeNotes(ctx, client); err != nil {
		return err
	}
	if err := askForWhatIsNotThere(ctx, client, project); err != nil {
		return err
	}
	return search(ctx, client, project)
}

// index indexes the project and shows how far it is.
func index(ctx context.Context, client driverv1.DriverServiceClient, project string) error {
	stream, err := client.IndexProject(ctx, &driverv1.IndexProjectRequest{ProjectId: project})
	if err != nil {
		return err
	}
	var progress *driverv1.IndexProgress
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		progress = message.Progress
		fmt.Printf("\r%d/%d files", progress.FilesDone, progress.FilesTotal)
	}
	fmt.Printf(", %d indexed, %d unchanged, %d failed\n",
		progress.GetFilesIndexed(), progress.GetFilesUnchanged(), progress.GetFilesFailed())
	return nil
}

// listLargestClasses streams the rows of a query, however many there are.
func listLargestClasses(ctx context.Context, client driverv1.DriverServiceClient) error {
	stream, err := client.Query(ctx, &driverv1.QueryRequest{
		Sql: "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id " +
			"GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?",
		Parameters: []*driverv1.Value{{Kind: &driverv1.Value_IntegerValue{IntegerValue: 3}}},
	})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, row := range message.Rows {
			fmt.Printf("class %s: %d methods\n", row.Values[0].GetTextValue(), row.Values[1].GetIntegerValue())
		}
	}
}

// takeNotes makes a table and a row in one transaction: both or none. A request id makes the commit safe to repeat.
func takeNotes(ctx context.Context, client driverv1.DriverServiceClient) error {
	begun, err := client.BeginTransaction(ctx, &driverv1.BeginTransactionRequest{})
	if err != nil {
		return err
	}
	text := &driverv1.Value{Kind: &driverv1.Value_TextValue{TextValue: "written from Go"}}
	for _, request := range []*driverv1.ExecuteRequest{
		{Sql: "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)"},
		{Sql: "INSERT INTO notes (text) VALUES (?)", Parameters: []*driverv1.Value{text}},
	} {
		request.TransactionId = begun.TransactionId
		if _, err := client.Execute(ctx, request); err != nil {
			rollback := &driverv1.RollbackTransactionRequest{TransactionId: begun.TransactionId}
			_, rollbackErr := client.RollbackTransaction(ctx, rollback)
			return errors.Join(err, rollbackErr)
		}
	}
	commit := &driverv1.CommitTransactionRequest{TransactionId: begun.TransactionId, RequestId: rand.Text()}
	if _, err := client.CommitTransaction(ctx, commit); err != nil {
		return err
	}
	fmt.Println("committed a note")
	return nil
}

// askForWhatIsNotThere handles one error by its reason.
func askForWhatIsNotThere(ctx context.Context, client driverv1.DriverServiceClient, project string) error {
	_, err := client.IndexFile(ctx, &driverv1.IndexFileRequest{ProjectId: project, FilePath: "no/such/file.py"})
	explained := driver.Explain(err)
	if explained.Reason != "FILE_NOT_FOUND" {
		return err
	}
	fmt.Printf("%s %s: %s\n", explained.Status, explained.Reason, explained.Message)
	return nil
}

// search searches names and text.
func search(ctx context.Context, client driverv1.DriverServiceClient, project string) error {
	request := &driverv1.SearchCodeRequest{Query: "read*", ProjectId: project, PageSize: 3}
	answer, err := client.SearchCode(ctx, request)
	for _, hit := range answer.GetHits() {
		fmt.Printf("%s:%d %s\n", hit.FilePath, hit.Line, hit.EntityName)
	}
	return err
}
