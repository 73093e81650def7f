// A caller in a browser, on a page of another origin than the server's. Tells the page's own server
// what came of it.

import { ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { tell } from "./story";

async function told(): Promise<string> {
  const baseUrl = new URLSearchParams(location.search).get("server")!;
  const transports = {
    "connect-json": createConnectTransport({ baseUrl }),
    "connect-binary": createConnectTransport({ baseUrl, useBinaryFormat: true }),
    "connect-get": createConnectTransport({ baseUrl, useHttpGet: true }),
    "grpc-web": createGrpcWebTransport({ baseUrl }),
  };
  const lines: string[] = [];
  for (const [name, transport] of Object.entries(transports)) {
    try {
      lines.push(`${name}: ${(await tell(transport, name)).join("; ")}`);
    } catch (error) {
      lines.push(`${name}: ${ConnectError.from(error).rawMessage}`);
    }
  }
  return lines.join("\n");
}

void told().then((body) => fetch("/told", { method: "POST", body }));
