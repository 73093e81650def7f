// What a caller in TypeScript does by any transport, in Node or in a browser: an event, a profile,
// an error with its details, and an answer of many messages.

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ModelService } from "./client/bellwether/v1/model_pb";
import { ScoringService } from "./client/bellwether/v1/scoring_pb";
import { BadRequestSchema } from "./client/google/rpc/error_details_pb";

export async function tell(transport: Transport, tenant: string): Promise<string[]> {
  const told: string[] = [];
  const service = createClient(ScoringService, transport);
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
  told.push(`scored ${scored.matchedSignals} ${scored.stageChange?.toStage}`);
  const { profile } = await service.getProfile({ tenant, profileId: "ann" }, { timeoutMs: 30_000 });
  told.push(`read ${profile?.eventCount} ${profile?.stage}`);
  try {
    await service.getProfile({ tenant });
  } catch (error) {
    const refusal = ConnectError.from(error);
    for (const wrong of refusal.findDetails(BadRequestSchema)) {
      told.push(`refused ${refusal.code} ${wrong.fieldViolations[0].field}`);
    }
  }
  const models = createClient(ModelService, transport);
  const { active } = await models.getModels({ tenant });
  for await (const answer of models.compareModels({ tenant, newSource: active?.source })) {
    if (answer.message.case === "report") {
      told.push(`compared ${answer.message.value.profiles}`);
    }
  }
  return told;
}
