// A first caller in Java.

import bellwether.v1.Event;
import bellwether.v1.GetProfileRequest;
import bellwether.v1.Profile;
import bellwether.v1.ScoreEventRequest;
import bellwether.v1.ScoreEventResponse;
import bellwether.v1.ScoringServiceGrpc;
import com.google.protobuf.Any;
import com.google.protobuf.Timestamp;
import com.google.rpc.BadRequest;
import com.google.rpc.Status;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.concurrent.TimeUnit;

class First {
  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel =
        ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    ScoringServiceGrpc.ScoringServiceBlockingStub service =
        ScoringServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);

    Event event =
        Event.newBuilder()
            .setEventId("event-1")
            .setProfileId("ann")
            .setType("question")
            .setText("Which tool is good for a beginner?")
            .setTime(Timestamp.newBuilder().setSeconds(1_600_000_000))
            .build();
    ScoreEventResponse scored =
        service.scoreEvent(
            ScoreEventRequest.newBuilder().setTenant("java").setEvent(event).build());
    System.out.println(
        "scored "
            + String.join(",", scored.getMatchedSignalsList())
            + " "
            + scored.getStageChange().getToStage());

    GetProfileRequest request =
        GetProfileRequest.newBuilder().setTenant("java").setProfileId("ann").build();
    Profile profile = service.getProfile(request).getProfile();
    System.out.println("read " + profile.getEventCount() + " " + profile.getStage());

    try {
      service.getProfile(GetProfileRequest.newBuilder().setTenant("java").build());
    } catch (StatusRuntimeException error) {
      Status refusal = StatusProto.fromThrowable(error);
      for (Any detail : refusal.getDetailsList()) {
        if (detail.is(BadRequest.class)) {
          BadRequest wrong = detail.unpack(BadRequest.class);
          System.out.println(
              "refused " + refusal.getCode() + " " + wrong.getFieldViolations(0).getField());
        }
      }
    }
    channel.shutdown();
  }
}
