// Scores a question of a person and reads their profile. If a model is chosen, says what it would
// change, as a stream tells it.

import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ModelService } from "../../../client/bellwether/v1/model_pb";
import {
  EventOutcome,
  ProfileView,
  ScoringService,
} from "../../../client/bellwether/v1/scoring_pb";
import { BadRequestSchema, RetryInfoSchema } from "../../../client/google/rpc/error_details_pb";
import config from "../service_config.json";

const MILLIS = 10_000; // for an answer, with all retries
const MILLIS_OF_STREAM = 60_000;
const { maxAttempts, initialBackoff, backoffMultiplier } = config.methodConfig[0].retryPolicy;

const form = document.querySelector("form")!;
const button = document.querySelector("button")!;
const told = document.querySelector("pre")!;

async function score() {
  const { server, token, tenant, profile: profileId, text, model } =
    Object.fromEntries(new FormData(form)) as Record<string, string> & { model: File };
  const withToken: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: server,
    defaultTimeoutMs: MILLIS,
    interceptors: [withToken, again],
  });

  const service = createClient(ScoringService, transport);
  // The id and the time are made once: however often both are sent, the event counts once.
  const eventId = crypto.randomUUID();
  const event = { eventId, profileId, type: "question", text, time: timestampNow() };
  const scored = await service.scoreEvent({ tenant, event });
  tell(`question: ${EventOutcome[scored.outcome]} ${scored.matchedSignals.join(", ")}`);
  const { profile } = await service.getProfile({ tenant, profileId, view: ProfileView.FULL });
  tell(`${profile!.profileId}: ${profile!.stage}`);
  for (const { name, points, base, contributions } of profile!.scores) {
    const reasons = [{ name: "base", points: base }, ...contributions];
    const shown = reasons.map((part) => `${part.name} ${part.points.toFixed(1)}`);
    tell(`  ${name} ${points.toFixed(1)} = ${shown.join(" + ")}`);
  }

  if (model.size === 0) return;
  const request = { tenant, newSource: await model.text() };
  const models = createClient(ModelService, transport);
  // The next message is read once the one before is shown.
  for await (const { message } of models.compareModels(request, { timeoutMs: MILLIS_OF_STREAM })) {
    if (message.case === "progress") tell(`compared: ${message.value.evaluatedProfiles}`);
    const scores = message.case === "report" ? message.value.scores : [];
    for (const { score, rising, falling } of scores) {
      tell(`  ${score}: ${rising} would rise, ${falling} would fall`);
    }
  }
}

/** Calls again when nobody has answered, as the service config says, and after the delay that an
 * exhausted quota names. */
const again: Interceptor = (next) => async (request) => {
  if (request.stream) return next(request);
  let backoff = parseFloat(initialBackoff) * 1_000;
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (reason) {
      const error = ConnectError.from(reason);
      // A browser does not say whether it has reached nobody or may not call: both are a TypeError.
      const isAway = error.code === Code.Unavailable || reason instanceof TypeError;
      const delay = retryDelay(error) ?? (isAway ? backoff : undefined);
      const mayPass = isAway || error.code === Code.ResourceExhausted;
      if (attempt === maxAttempts || !mayPass || delay === undefined) throw reason;
      await new Promise((resolve) => setTimeout(resolve, delay));
      backoff *= backoffMultiplier;
    }
  }
};

function retryDelay(error: ConnectError): number | undefined {
  const [info] = error.findDetails(RetryInfoSchema);
  return info?.retryDelay && Number(info.retryDelay.seconds) * 1_000 + info.retryDelay.nanos / 1e6;
}

function explain(error: ConnectError): string {
  const bad = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const wrong = bad.map(({ field, description }) => `  ${field}: ${description}`);
  const delay = retryDelay(error);
  if (delay !== undefined) wrong.push(`  retry after ${Math.round(delay)} ms`);
  return [`${Code[error.code]}: ${error.rawMessage}`, ...wrong].join("\n");
}

function tell(line: string) {
  told.textContent += `${line}\n`;
}

form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  told.textContent = "";
  button.disabled = true;
  await score().catch((reason) => tell(explain(ConnectError.from(reason))));
  button.disabled = false;
});
