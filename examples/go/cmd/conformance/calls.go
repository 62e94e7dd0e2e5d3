package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

// runner executes the steps of a case; each method is named for the RPC it calls and answers lines of the report.
type runner struct {
	client driverv1.DriverServiceClient
	source string
	// transactions has ids by the names that the case gives them.
	transactions map[string]string
}

type call func(*runner, context.Context, step) ([]string, error)

var calls = map[string]call{
	"Execute":             (*runner).execute,
	"ExecuteBatch":        (*runner).executeBatch,
	"Query":               (*runner).query,
	"BeginTransaction":    (*runner).beginTransaction,
	"CommitTransaction":   (*runner).commitTransaction,
	"RollbackTransaction": (*runner).rollbackTransaction,
	"Insert":              (*runner).insert,
	"Update":              (*runner).update,
	"Delete":              (*runner).delete,
	"Select":              (*runner).selectRows,
	"RegisterProject":     (*runner).registerProject,
	"IndexFile":           (*runner).indexFile,
	"IndexProject":        (*runner).indexProject,
	"ListIndexingErrors":  (*runner).listIndexingErrors,
	"SearchCode":          (*runner).searchCode,
}

func (r *runner) run(step step) []string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if step.TimeoutMs > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(step.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	lines, err := calls[step.Call](r, ctx, step)
	if err != nil {
		return []string{describeError(err)}
	}
	return lines
}

func (r *runner) execute(ctx context.Context, step step) ([]string, error) {
	answer, err := r.client.Execute(ctx, &driverv1.ExecuteRequest{
		Sql:             step.SQL,
		Parameters:      toValues(step.Parameters),
		NamedParameters: toNamedValues(step.Named),
		MaxRows:         step.MaxRows,
		TransactionId:   r.transaction(step),
		RequestId:       step.RequestID,
	})
	if err != nil {
		return nil, err
	}
	return describeResult(answer, answer.LastInsertRowid), nil
}

func (r *runner) executeBatch(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.ExecuteBatchRequest{TransactionId: r.transaction(step)}
	for _, statement := range step.Statements {
		request.Statements = append(request.Statements, &driverv1.Statement{
			Sql:             statement.SQL,
			Parameters:      toValues(statement.Parameters),
			NamedParameters: toNamedValues(statement.Named),
		})
	}
	answer, err := r.client.ExecuteBatch(ctx, request)
	var lines []string
	for index, result := range answer.GetResults() {
		lines = append(lines, fmt.Sprintf("result %d", index))
		lines = append(lines, describeResult(result, result.LastInsertRowid)...)
	}
	return lines, err
}

func (r *runner) query(ctx context.Context, step step) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.client.Query(ctx, &driverv1.QueryRequest{
		Sql:             step.SQL,
		Parameters:      toValues(step.Parameters),
		NamedParameters: toNamedValues(step.Named),
		TransactionId:   r.transaction(step),
	})
	if err != nil {
		return nil, err
	}
	return describeStream(stream, cancel, step.CancelAfter)
}

func (r *runner) beginTransaction(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.BeginTransactionRequest{}
	if step.TTLMs > 0 {
		request.Ttl = durationpb.New(time.Duration(step.TTLMs) * time.Millisecond)
	}
	begun, err := r.client.BeginTransaction(ctx, request)
	r.transactions[step.As] = begun.GetTransactionId()
	return []string{"begun"}, err
}

func (r *runner) commitTransaction(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.CommitTransactionRequest{TransactionId: r.transaction(step), RequestId: step.RequestID}
	_, err := r.client.CommitTransaction(ctx, request)
	return []string{"committed"}, err
}

func (r *runner) rollbackTransaction(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.RollbackTransactionRequest{TransactionId: r.transaction(step)}
	_, err := r.client.RollbackTransaction(ctx, request)
	return []string{"rolled back"}, err
}

func (r *runner) insert(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.InsertRequest{
		Table:      step.Table,
		Columns:    step.Columns,
		OnConflict: driverv1.ConflictAction(driverv1.ConflictAction_value["CONFLICT_ACTION_"+step.OnConflict]),
	}
	for _, row := range step.Rows {
		request.Rows = append(request.Rows, &driverv1.Row{Values: toValues(row)})
	}
	answer, err := r.client.Insert(ctx, request)
	if err != nil {
		return nil, err
	}
	return describeChange(answer.AffectedRows, answer.LastInsertRowid), nil
}

func (r *runner) update(ctx context.Context, step step) ([]string, error) {
	answer, err := r.client.Update(ctx, &driverv1.UpdateRequest{
		Table: step.Table,
		Set:   toNamedValues(step.Set),
		Where: step.Where.condition(),
	})
	return describeChange(answer.GetAffectedRows(), nil), err
}

func (r *runner) delete(ctx context.Context, step step) ([]string, error) {
	answer, err := r.client.Delete(ctx, &driverv1.DeleteRequest{Table: step.Table, Where: step.Where.condition()})
	return describeChange(answer.GetAffectedRows(), nil), err
}

func (r *runner) selectRows(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.SelectRequest{
		Table:   step.Table,
		Columns: step.Columns,
		Where:   step.Where.condition(),
		Limit:   step.Limit,
	}
	if step.OrderBy != "" {
		request.OrderBy = []*driverv1.OrderBy{{Column: step.OrderBy}}
	}
	stream, err := r.client.Select(ctx, request)
	if err != nil {
		return nil, err
	}
	return describeStream(stream, func() {}, 0)
}

func (r *runner) registerProject(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.RegisterProjectRequest{RootPath: filepath.Join(r.source, step.Root), Id: step.ID}
	answer, err := r.client.RegisterProject(ctx, request)
	return []string{fmt.Sprintf("project %s created=%t", answer.GetProject().GetId(), answer.GetCreated())}, err
}

func (r *runner) indexFile(ctx context.Context, step step) ([]string, error) {
	request := &driverv1.IndexFileRequest{ProjectId: step.Project, FilePath: step.Path, Force: step.Force}
	file, err := r.client.IndexFile(ctx, request)
	counts := file.GetCounts()
	return []string{fmt.Sprintf(
		"file %s language=%s lines=%d unchanged=%t classes=%d methods=%d functions=%d imports=%d",
		file.GetFilePath(), file.GetLanguage(), file.GetLines(), file.GetUnchanged(),
		counts.GetClasses(), counts.GetMethods(), counts.GetFunctions(), counts.GetImports(),
	)}, err
}

func (r *runner) indexProject(ctx context.Context, step step) ([]string, error) {
	stream, err := r.client.IndexProject(ctx, &driverv1.IndexProjectRequest{ProjectId: step.Project})
	if err != nil {
		return nil, err
	}
	var progress *driverv1.IndexProgress
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		progress = message.Progress
	}
	return []string{fmt.Sprintf(
		"files total=%d indexed=%d unchanged=%d failed=%d deleted=%d",
		progress.GetFilesTotal(), progress.GetFilesIndexed(), progress.GetFilesUnchanged(),
		progress.GetFilesFailed(), progress.GetFilesDeleted(),
	)}, nil
}

func (r *runner) listIndexingErrors(ctx context.Context, step step) ([]string, error) {
	answer, err := r.client.ListIndexingErrors(ctx, &driverv1.ListIndexingErrorsRequest{ProjectId: step.Project})
	var lines []string
	for _, failure := range answer.GetErrors() {
		lines = append(lines, fmt.Sprintf("failure %s %s", filepath.Base(failure.FilePath), failure.ErrorType))
	}
	return lines, err
}

func (r *runner) searchCode(ctx context.Context, step step) ([]string, error) {
	answer, err := r.client.SearchCode(ctx, &driverv1.SearchCodeRequest{Query: step.Query, ProjectId: step.Project})
	var lines []string
	for _, hit := range answer.GetHits() {
		lines = append(lines, fmt.Sprintf("hit %s kind=%d %s:%d", hit.EntityName, hit.Entity.Kind, hit.FilePath, hit.Line))
	}
	return lines, err
}

// transaction is the id of the transaction that the step names; a name that none has stands for itself.
func (r *runner) transaction(step step) string {
	if id, isKnown := r.transactions[step.In]; isKnown {
		return id
	}
	return step.In
}

func (w *where) condition() *driverv1.Condition {
	if w == nil {
		return nil
	}
	operator := driverv1.ComparisonOperator_value["COMPARISON_OPERATOR_"+w.Operator]
	return &driverv1.Condition{Kind: &driverv1.Condition_Comparison{Comparison: &driverv1.Comparison{
		Column:   w.Column,
		Operator: driverv1.ComparisonOperator(operator),
		Value:    toValue(w.Value),
	}}}
}

func toValues(texts []string) []*driverv1.Value {
	var values []*driverv1.Value
	for _, text := range texts {
		values = append(values, toValue(text))
	}
	return values
}

func toNamedValues(texts map[string]string) map[string]*driverv1.Value {
	values := map[string]*driverv1.Value{}
	for name, text := range texts {
		values[name] = toValue(text)
	}
	return values
}
