// Scores a question of a person, reads their profile, and sends events of theirs in a stream.
//
//     score.js PROFILE TYPE...

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import * as api from "../../../client/bellwether/v1/scoring";
import { answered, explain, patient, statusOf } from "./errors";

const MILLIS_OF_STREAM = 60_000;
const { BELLWETHER_TARGET, BELLWETHER_CA, BELLWETHER_TOKEN, BELLWETHER_TENANT } = process.env;
const tenant = BELLWETHER_TENANT ?? "";

function connect(): api.ScoringServiceClient {
  const shown = new grpc.Metadata();
  shown.set("authorization", `Bearer ${BELLWETHER_TOKEN}`);
  const key = grpc.credentials.createFromMetadataGenerator((_, show) => show(null, shown));
  const tls = grpc.credentials.createSsl(readFileSync(BELLWETHER_CA!));
  const config = readFileSync("examples/clients/service_config_hedged.json", "utf8");
  const trusted = grpc.credentials.combineChannelCredentials(tls, key);
  return new api.ScoringServiceClient(BELLWETHER_TARGET!, trusted, {
    "grpc.service_config": config,
  });
}

/** An event with an id and a time, made once: however often it is sent, it counts once. */
function newEvent(profileId: string, type: string, text = ""): api.Event {
  return api.Event.create({ eventId: randomUUID(), profileId, type, text, time: new Date() });
}

async function score(service: api.ScoringServiceClient, profileId: string) {
  const event = newEvent(profileId, "question", "Which tool is good for a beginner?");
  const request = api.ScoreEventRequest.create({ tenant, event });
  const scored = await answered<api.ScoreEventResponse>((...call) =>
    service.scoreEvent(request, ...call),
  );
  console.log(`${event.type}: ${outcomeOf(scored)} ${scored.matchedSignals.join(", ")}`);
  const view = api.ProfileView.PROFILE_VIEW_FULL;
  const asked = api.GetProfileRequest.create({ tenant, profileId, view });
  const { profile } = await answered<api.GetProfileResponse>((...call) =>
    service.getProfile(asked, ...call),
  );
  console.log(`${profile!.profileId}: ${profile!.stage}`);
  for (const { name, points, base, contributions } of profile!.scores) {
    const reasons = [{ name: "base", points: base }, ...contributions];
    const told = reasons.map((part) => `${part.name} ${part.points.toFixed(1)}`);
    console.log(`  ${name} ${points.toFixed(1)} = ${told.join(" + ")}`);
  }
}

async function send(service: api.ScoringServiceClient, profileId: string, types: string[]) {
  const stream = service.scoreEvents(patient, { deadline: Date.now() + MILLIS_OF_STREAM });
  const unanswered: api.Event[] = [];
  async function write() {
    const responseView = api.ResponseView.RESPONSE_VIEW_NONE;
    for (const type of types) {
      const event = newEvent(profileId, type);
      unanswered.push(event);
      // Waits while the server has no room. In bulk, each request has many events.
      const request = api.ScoreEventsRequest.create({ tenant, events: [event], responseView });
      if (!stream.write(request)) await once(stream, "drain");
    }
    stream.end();
  }
  async function read() {
    for await (const answer of stream as AsyncIterable<api.ScoreEventsResponse>) {
      for (const { error, response } of answer.results) {
        const said = error ? explain(error) : outcomeOf(response!);
        console.log(`${unanswered.shift()!.type}: ${said}`);
      }
    }
  }
  await Promise.all([write(), read()]);
}

function outcomeOf(response: api.ScoreEventResponse): string {
  return api.EventOutcome[response.outcome].replace("EVENT_OUTCOME_", "");
}

async function main([profileId, ...types]: string[]) {
  const service = connect();
  try {
    await score(service, profileId);
    await send(service, profileId, types);
  } catch (error) {
    console.error(explain(statusOf(error as grpc.ServiceError)));
    process.exitCode = 1;
  } finally {
    service.close();
  }
}

void main(process.argv.slice(2));
