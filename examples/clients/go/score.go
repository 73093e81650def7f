// Scores a question of a person, reads their profile, and sends events of theirs in a stream.
//
//	score PROFILE TYPE...
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	api "bellwether.dev/bellwether/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const timeForAnswer = 10 * time.Second // with all retries
const timeForStream = time.Minute

var tenant = os.Getenv("BELLWETHER_TENANT")

func main() {
	service := api.NewScoringServiceClient(connect())
	score(service, os.Args[1])
	send(service, os.Args[1], os.Args[2:])
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, explain(status.Convert(err)))
		os.Exit(1)
	}
}

func connect() *grpc.ClientConn {
	config, err := os.ReadFile("examples/clients/service_config.json")
	must(err)
	trusted, err := credentials.NewClientTLSFromFile(os.Getenv("BELLWETHER_CA"), "")
	must(err)
	connection, err := grpc.Dial("dns:///"+os.Getenv("BELLWETHER_TARGET"),
		grpc.WithTransportCredentials(trusted),
		grpc.WithPerRPCCredentials(bearer(os.Getenv("BELLWETHER_TOKEN"))),
		grpc.WithDefaultServiceConfig(string(config)),
		grpc.WithUnaryInterceptor(afterQuota))
	must(err)
	return connection
}

// An event with an id and a time, which are made once: however often it is sent, it counts once.
func newEvent(profileID, eventType, text string) *api.Event {
	id := make([]byte, 16)
	_, err := rand.Read(id)
	must(err)
	return &api.Event{EventId: fmt.Sprintf("%x", id), ProfileId: profileID, Type: eventType,
		Text: text, Time: timestamppb.Now()}
}

func score(service api.ScoringServiceClient, profileID string) {
	ctx, cancel := context.WithTimeout(context.Background(), timeForAnswer)
	defer cancel()
	event := newEvent(profileID, "question", "Which tool is good for a beginner?")
	scored, err := service.ScoreEvent(ctx, &api.ScoreEventRequest{Tenant: tenant, Event: event})
	must(err)
	fmt.Println(event.Type+":", outcomeOf(scored), strings.Join(scored.MatchedSignals, ", "))
	read, err := service.GetProfile(ctx, &api.GetProfileRequest{
		Tenant: tenant, ProfileId: profileID, View: api.ProfileView_PROFILE_VIEW_FULL})
	must(err)
	fmt.Println(read.Profile.ProfileId+":", read.Profile.Stage)
	for _, score := range read.Profile.Scores {
		fmt.Printf("  %s %.1f = base %.1f", score.Name, score.Points, score.Base)
		for _, part := range score.Contributions {
			fmt.Printf(" + %s %.1f", part.Name, part.Points)
		}
		fmt.Println()
	}
}

func send(service api.ScoringServiceClient, profileID string, types []string) {
	ctx, cancel := context.WithTimeout(context.Background(), timeForStream)
	defer cancel()
	stream, err := service.ScoreEvents(ctx)
	must(err)
	unanswered := make(chan *api.Event, 16) // no more are sent ahead
	go func() {
		for _, eventType := range types {
			event := newEvent(profileID, eventType, "")
			select {
			case unanswered <- event:
			case <-ctx.Done():
				return
			}
			// Waits while the server has no room. In bulk, each request has many events.
			if stream.Send(&api.ScoreEventsRequest{Tenant: tenant, Events: []*api.Event{event},
				ResponseView: api.ResponseView_RESPONSE_VIEW_NONE}) != nil {
				return // Recv says why.
			}
		}
		stream.CloseSend()
	}()
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return
		}
		must(err)
		for _, result := range answer.Results {
			said := outcomeOf(result.GetResponse())
			if refusal := result.GetError(); refusal != nil {
				said = explain(status.FromProto(refusal))
			}
			fmt.Println((<-unanswered).Type+":", said)
		}
	}
}

// The secret of a key, sent with each call.
type bearer string

func (secret bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(secret)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func outcomeOf(response *api.ScoreEventResponse) string {
	return strings.TrimPrefix(response.GetOutcome().String(), "EVENT_OUTCOME_")
}
