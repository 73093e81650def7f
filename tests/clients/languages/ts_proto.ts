// A first caller in TypeScript, with ts-proto and grpc-js.

import { credentials, type requestCallback, type ServiceError } from "@grpc/grpc-js";
import {
  Event,
  GetProfileRequest,
  type GetProfileResponse,
  ScoreEventRequest,
  type ScoreEventResponse,
  ScoringServiceClient,
} from "./client/bellwether/v1/scoring";
import { BadRequest } from "./client/google/rpc/error_details";
import { Status } from "./client/google/rpc/status";

/** What a call answers, or its error, as a promise. */
function answer<T>(call: (done: requestCallback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, answer) => (error ? reject(error) : resolve(answer!)));
  });
}

async function main() {
  const service = new ScoringServiceClient(process.argv[2], credentials.createInsecure());
  const tenant = "ts-proto";

  const event = Event.create({
    eventId: "event-1",
    profileId: "ann",
    type: "question",
    text: "Which tool is good for a beginner?",
    time: new Date(1_600_000_000_000),
  });
  const scored = await answer<ScoreEventResponse>((done) =>
    service.scoreEvent(ScoreEventRequest.create({ tenant, event }), done),
  );
  console.log(`scored ${scored.matchedSignals} ${scored.stageChange?.toStage}`);

  const read = (request: GetProfileRequest) =>
    answer<GetProfileResponse>((done) => service.getProfile(request, done));
  const { profile } = await read(GetProfileRequest.create({ tenant, profileId: "ann" }));
  console.log(`read ${profile?.eventCount} ${profile?.stage}`);

  try {
    await read(GetProfileRequest.create({ tenant }));
  } catch (error) {
    const [sent] = (error as ServiceError).metadata.get("grpc-status-details-bin");
    const refusal = Status.decode(sent as Buffer);
    for (const detail of refusal.details) {
      if (detail.typeUrl === "type.googleapis.com/google.rpc.BadRequest") {
        const wrong = BadRequest.decode(detail.value);
        console.log(`refused ${refusal.code} ${wrong.fieldViolations[0].field}`);
      }
    }
  }
  service.close();
}

void main();
