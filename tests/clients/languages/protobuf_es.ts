// A first caller in TypeScript, with protobuf-es and Connect, which speaks gRPC.

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ScoringService } from "./client/bellwether/v1/scoring_pb";
import { BadRequestSchema } from "./client/google/rpc/error_details_pb";

async function main() {
  const transport = createGrpcTransport({
    baseUrl: `http://${process.argv[2]}`,
    defaultTimeoutMs: 30_000,
  });
  const service = createClient(ScoringService, transport);
  const tenant = "protobuf-es";

  const scored = await service.scoreEvent({
    tenant,
    event: {
      eventId: "event-1",
      profileId: "ann",
      type: "question",
      text: "Which tool is good for a beginner?",
      time: timestampFromMs(1_600_000_000_000),
    },
  });
  console.log(`scored ${scored.matchedSignals} ${scored.stageChange?.toStage}`);

  const { profile } = await service.getProfile({ tenant, profileId: "ann" });
  console.log(`read ${profile?.eventCount} ${profile?.stage}`);

  try {
    await service.getProfile({ tenant });
  } catch (error) {
    const refusal = ConnectError.from(error);
    for (const wrong of refusal.findDetails(BadRequestSchema)) {
      console.log(`refused ${refusal.code} ${wrong.fieldViolations[0].field}`);
    }
  }
}

void main();
