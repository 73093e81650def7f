// A first caller in Go.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	api "bellwether.dev/bellwether/v1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, os.Args[1], grpc.WithInsecure())
	check(err)
	service := api.NewScoringServiceClient(connection)

	scored, err := service.ScoreEvent(ctx, &api.ScoreEventRequest{Tenant: "go", Event: &api.Event{
		EventId:   "event-1",
		ProfileId: "ann",
		Type:      "question",
		Text:      "Which tool is good for a beginner?",
		Time:      timestamppb.New(time.Unix(1_600_000_000, 0)),
	}})
	check(err)
	fmt.Println("scored", strings.Join(scored.MatchedSignals, ","), scored.StageChange.ToStage)

	read, err := service.GetProfile(ctx, &api.GetProfileRequest{Tenant: "go", ProfileId: "ann"})
	check(err)
	fmt.Println("read", read.Profile.EventCount, read.Profile.Stage)

	_, err = service.GetProfile(ctx, &api.GetProfileRequest{Tenant: "go"})
	refusal := status.Convert(err)
	for _, detail := range refusal.Details() {
		if wrong, ok := detail.(*errdetails.BadRequest); ok {
			fmt.Println("refused", uint32(refusal.Code()), wrong.FieldViolations[0].Field)
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
