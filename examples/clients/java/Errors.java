import bellwether.v1.ScoringServiceGrpc.ScoringServiceBlockingStub;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** What a call ends with: an answer, in time and within the quota, or an error with its details. */
class Errors {
  static final int SECONDS = 10; // for an answer, with all retries

  /**
   * Calls, and calls again after the delay that an exhausted quota names. What is UNAVAILABLE has
   * been retried by then, as the service config says.
   */
  static <T> T answered(
      ScoringServiceBlockingStub service, Function<ScoringServiceBlockingStub, T> call)
      throws InterruptedException {
    var end = Deadline.after(SECONDS, TimeUnit.SECONDS);
    while (true) {
      try {
        return call.apply(service.withDeadline(end));
      } catch (StatusRuntimeException error) {
        var infos = details(StatusProto.fromThrowable(error), RetryInfo.class);
        var isExhausted = error.getStatus().getCode() == io.grpc.Status.Code.RESOURCE_EXHAUSTED;
        if (!isExhausted || infos.isEmpty()) throw error;
        var millis = Durations.toMillis(infos.get(0).getRetryDelay());
        if (end.timeRemaining(TimeUnit.MILLISECONDS) < millis) throw error;
        Thread.sleep(millis);
      }
    }
  }

  static <T extends Message> List<T> details(Status status, Class<T> kind) {
    var found = new ArrayList<T>();
    for (var detail : status.getDetailsList()) {
      try {
        if (detail.is(kind)) found.add(detail.unpack(kind));
      } catch (InvalidProtocolBufferException damaged) {
        throw new IllegalStateException(damaged);
      }
    }
    return found;
  }

  static String explain(Status status) {
    var said = Code.forNumber(status.getCode()) + ": " + status.getMessage();
    for (var bad : details(status, BadRequest.class)) {
      for (var wrong : bad.getFieldViolationsList()) {
        said += "\n  " + wrong.getField() + ": " + wrong.getDescription();
      }
    }
    for (var info : details(status, RetryInfo.class)) {
      said += "\n  retry after " + Durations.toMillis(info.getRetryDelay()) + " ms";
    }
    return said;
  }
}
