// What a call ends with: an answer, in time and within the quota, or an error with its details.

import { setTimeout } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { BadRequest, RetryInfo } from "../../../client/google/rpc/error_details";
import { Status } from "../../../client/google/rpc/status";

const MILLIS = 10_000; // for an answer, with all retries
// grpc-js passes over `waitForReady` of the service config.
export const patient = new grpc.Metadata({ waitForReady: true });

type Call<T> = [grpc.Metadata, Partial<grpc.CallOptions>, grpc.requestCallback<T>];

/** Calls, and calls again after the delay that an exhausted quota names. What is `UNAVAILABLE` has
 * been retried by then, as the service config says. */
export async function answered<T>(call: (...rest: Call<T>) => unknown): Promise<T> {
  const deadline = Date.now() + MILLIS;
  for (;;) {
    try {
      return await new Promise((resolve, reject) => {
        call(patient, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer!)));
      });
    } catch (error) {
      const refusal = statusOf(error as grpc.ServiceError);
      const [delay] = retryDelays(refusal);
      const isExhausted = refusal.code === grpc.status.RESOURCE_EXHAUSTED;
      if (!isExhausted || delay === undefined || Date.now() + delay > deadline) throw error;
      await setTimeout(delay);
    }
  }
}

/** An error with its details. What the client itself says has none. */
export function statusOf({ code, details, metadata }: grpc.ServiceError): Status {
  const [sent] = metadata.get("grpc-status-details-bin");
  return sent ? Status.decode(sent as Buffer) : { code, message: details, details: [] };
}

function details<T>(status: Status, name: string, kind: { decode(bytes: Uint8Array): T }): T[] {
  const found = status.details.filter(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${name}`));
  return found.map(({ value }) => kind.decode(value));
}

function retryDelays(status: Status): number[] {
  const delays = details(status, "RetryInfo", RetryInfo).map((info) => info.retryDelay!);
  return delays.map(({ seconds, nanos }) => seconds * 1_000 + Math.round(nanos / 1_000_000));
}

export function explain(status: Status): string {
  const bad = details(status, "BadRequest", BadRequest).flatMap((each) => each.fieldViolations);
  return [
    `${grpc.status[status.code]}: ${status.message}`,
    ...bad.map((wrong) => `  ${wrong.field}: ${wrong.description}`),
    ...retryDelays(status).map((delay) => `  retry after ${delay} ms`),
  ].join("\n");
}
