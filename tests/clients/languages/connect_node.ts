// A caller in Node, by every protocol and version of HTTP that there is.

import type { Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ScoreEventsRequestSchema } from "./client/bellwether/v1/scoring_pb";
import { ScoringService } from "./client/bellwether/v1/scoring_pb";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { tell } from "./story";

type Request = MessageInitShape<typeof ScoreEventsRequestSchema>;

function request(tenant: string, number: number): Request {
  const event = { eventId: `stream-${number}`, profileId: "bob", type: "question" };
  return { tenant, events: [event] };
}

/** Sends each request once the one before is answered, or all of them at once. */
async function stream(transport: Transport, tenant: string, inTurn: boolean): Promise<number> {
  let goOn: () => void = () => {};
  async function* requests() {
    for (let number = 0; number < 3; number++) {
      const answered = new Promise<void>((resolve) => (goOn = resolve));
      yield request(tenant, number);
      if (inTurn) await answered;
    }
  }
  let answers = 0;
  for await (const answer of createClient(ScoringService, transport).scoreEvents(requests())) {
    answers += answer.results.length;
    goOn();
  }
  return answers;
}

async function main() {
  const baseUrl = `http://${process.argv[2]}`;
  const transports: [string, boolean, Transport][] = [];
  for (const httpVersion of ["1.1", "2"] as const) {
    for (const useBinaryFormat of [false, true]) {
      const name = `connect-${httpVersion}-${useBinaryFormat ? "binary" : "json"}`;
      const options = { baseUrl, httpVersion, useBinaryFormat };
      transports.push([name, httpVersion === "2", createConnectTransport(options)]);
    }
    const web = createGrpcWebTransport({ baseUrl, httpVersion });
    transports.push([`grpc-web-${httpVersion}`, httpVersion === "2", web]);
  }
  transports.push(["grpc-2", true, createGrpcTransport({ baseUrl })]);
  for (const [name, isDuplex, transport] of transports) {
    const tenant = name.replaceAll(".", "-");
    const told = await tell(transport, tenant);
    told.push(`streamed ${await stream(transport, tenant, isDuplex)}`);
    console.log(`${name}: ${told.join("; ")}`);
  }
}

void main();
