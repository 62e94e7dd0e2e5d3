// Package driver connects to a driver, and reads what its errors say.
package driver

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate

import (
	"context"
	"math"
	"os"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

// Connect makes a client of the driver that the environment names. It connects with the first call.
func Connect() (driverv1.DriverServiceClient, *grpc.ClientConn, error) {
	address := os.Getenv("CODE_ANALYSIS_DRIVER_ADDRESS")
	if address == "" {
		address = "unix:data/code_analysis.db.sock"
	}
	transport := insecure.NewCredentials()
	if authority := os.Getenv("CODE_ANALYSIS_DRIVER_TLS_CA"); authority != "" {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(authority, ""); err != nil {
			return nil, nil, err
		}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		// How large an answer may be is the driver's to say.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	}
	if token := os.Getenv("CODE_ANALYSIS_DRIVER_TOKEN"); token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearerToken(token)))
	}
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, nil, err
	}
	return driverv1.NewDriverServiceClient(connection), connection, nil
}

type bearerToken string

func (token bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity is false because a driver on loopback takes tokens without TLS.
func (bearerToken) RequireTransportSecurity() bool { return false }

// Error is what a failed call says: its status, and the details of the driver where there are some.
type Error struct {
	Status, Message, Reason, Field, SQLiteCode string
	IsRetryable                                bool
}

// Explain decodes the google.rpc.Status in the trailer grpc-status-details-bin.
func Explain(err error) Error {
	failure := status.Convert(err)
	explained := Error{Status: statusName(failure.Code()), Message: failure.Message()}
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			explained.Reason = detail.Reason
			explained.SQLiteCode = detail.Metadata["sqlite_code"]
		case *errdetails.BadRequest:
			explained.Field = detail.FieldViolations[0].Field
		case *errdetails.RetryInfo:
			explained.IsRetryable = true
		}
	}
	return explained
}

// statusName is the canonical name: Go says InvalidArgument where everyone else says INVALID_ARGUMENT.
func statusName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for index, letter := range code.String() {
		if index > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}
