import bellwether.v1.*;
import bellwether.v1.ScoringServiceGrpc.ScoringServiceBlockingStub;
import com.google.gson.Gson;
import com.google.protobuf.util.Timestamps;
import io.grpc.*;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Scores a question of a person, reads their profile, and sends events of theirs in a stream:
 * {@code Score PROFILE TYPE...}
 */
class Score {
  static final int SECONDS_OF_STREAM = 60;
  static final Map<String, String> SET = System.getenv();
  static final String TENANT = SET.getOrDefault("BELLWETHER_TENANT", "");

  public static void main(String[] arguments) throws Exception {
    var channel = connect();
    try {
      score(ScoringServiceGrpc.newBlockingStub(channel), arguments[0]);
      var types = Stream.of(arguments).skip(1).iterator();
      var sending = new Sending(arguments[0], types);
      ScoringServiceGrpc.newStub(channel)
          .withDeadlineAfter(SECONDS_OF_STREAM, TimeUnit.SECONDS)
          .scoreEvents(sending);
      sending.end.get();
    } catch (StatusRuntimeException | ExecutionException error) {
      System.err.println(Errors.explain(StatusProto.fromThrowable(error)));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  static ManagedChannel connect() throws Exception {
    var authority = new File(SET.get("BELLWETHER_CA"));
    var trusted = TlsChannelCredentials.newBuilder().trustManager(authority).build();
    var key = new Metadata();
    key.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
        "Bearer " + SET.get("BELLWETHER_TOKEN"));
    var config = Files.readString(Path.of("examples/clients/service_config_hedged.json"));
    return Grpc.newChannelBuilder(SET.get("BELLWETHER_TARGET"), trusted)
        .intercept(MetadataUtils.newAttachHeadersInterceptor(key))
        .defaultServiceConfig(new Gson().<Map<String, ?>>fromJson(config, Map.class))
        .enableRetry()
        .build();
  }

  /** An event with an id and a time, made once: however often it is sent, it counts once. */
  static Event newEvent(String profileId, String type, String text) {
    return Event.newBuilder()
        .setEventId(UUID.randomUUID().toString())
        .setProfileId(profileId)
        .setType(type)
        .setText(text)
        .setTime(Timestamps.fromMillis(System.currentTimeMillis()))
        .build();
  }

  static void score(ScoringServiceBlockingStub service, String profileId) throws Exception {
    var event = newEvent(profileId, "question", "Which tool is good for a beginner?");
    var request = ScoreEventRequest.newBuilder().setTenant(TENANT).setEvent(event).build();
    var scored = Errors.answered(service, stub -> stub.scoreEvent(request));
    var signals = String.join(", ", scored.getMatchedSignalsList());
    System.out.println(event.getType() + ": " + outcomeOf(scored) + " " + signals);
    var asked =
        GetProfileRequest.newBuilder()
            .setTenant(TENANT)
            .setProfileId(profileId)
            .setView(ProfileView.PROFILE_VIEW_FULL)
            .build();
    var profile = Errors.answered(service, stub -> stub.getProfile(asked)).getProfile();
    System.out.println(profile.getProfileId() + ": " + profile.getStage());
    for (var each : profile.getScoresList()) {
      System.out.printf("  %s %.1f = base %.1f", each.getName(), each.getPoints(), each.getBase());
      for (var part : each.getContributionsList()) {
        System.out.printf(" + %s %.1f", part.getName(), part.getPoints());
      }
      System.out.println();
    }
  }

  /** A stream of events, in which each is sent when the server has room for it. */
  static class Sending implements ClientResponseObserver<ScoreEventsRequest, ScoreEventsResponse> {
    final CompletableFuture<Void> end = new CompletableFuture<>();
    private final Queue<Event> unanswered = new ConcurrentLinkedQueue<>();
    private final String profileId;
    private final Iterator<String> types;
    private boolean isComplete;

    Sending(String profileId, Iterator<String> types) {
      this.profileId = profileId;
      this.types = types;
    }

    public void beforeStart(ClientCallStreamObserver<ScoreEventsRequest> requests) {
      requests.setOnReadyHandler(
          () -> {
            while (requests.isReady() && types.hasNext()) {
              var event = newEvent(profileId, types.next(), "");
              unanswered.add(event);
              requests.onNext( // in bulk, each request has many events
                  ScoreEventsRequest.newBuilder()
                      .setTenant(TENANT)
                      .addEvents(event)
                      .setResponseView(ResponseView.RESPONSE_VIEW_NONE)
                      .build());
            }
            if (!types.hasNext() && !isComplete) {
              isComplete = true;
              requests.onCompleted();
            }
          });
    }

    public void onNext(ScoreEventsResponse answer) {
      for (var result : answer.getResultsList()) {
        var said =
            result.hasError() ? Errors.explain(result.getError()) : outcomeOf(result.getResponse());
        System.out.println(unanswered.remove().getType() + ": " + said);
      }
    }

    public void onError(Throwable error) {
      end.completeExceptionally(error);
    }

    public void onCompleted() {
      end.complete(null);
    }
  }

  static String outcomeOf(ScoreEventResponse response) {
    return response.getOutcome().name().replace("EVENT_OUTCOME_", "");
  }
}
