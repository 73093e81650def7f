package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Calls again after the delay that an exhausted quota names. What is UNAVAILABLE has been retried
// by then, as the service config says.
func afterQuota(ctx context.Context, method string, request, answer interface{},
	connection *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	for {
		err := call(ctx, method, request, answer, connection, options...)
		delay, isNamed := retryDelay(status.Convert(err))
		end, _ := ctx.Deadline()
		if status.Code(err) != codes.ResourceExhausted || !isNamed || time.Until(end) < delay {
			return err
		}
		time.Sleep(delay)
	}
}

func retryDelay(refusal *status.Status) (time.Duration, bool) {
	for _, detail := range refusal.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.RetryDelay.AsDuration(), true
		}
	}
	return 0, false
}

func explain(refusal *status.Status) string {
	said := fmt.Sprintf("%s: %s", code.Code(refusal.Code()), refusal.Message())
	for _, detail := range refusal.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, wrong := range bad.FieldViolations {
				said += fmt.Sprintf("\n  %s: %s", wrong.Field, wrong.Description)
			}
		}
	}
	if delay, isNamed := retryDelay(refusal); isNamed {
		said += fmt.Sprintf("\n  retry after %d ms", delay.Milliseconds())
	}
	return said
}
