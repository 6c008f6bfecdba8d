// Deploys and calls functions with AWS's SDK for JavaScript, version 3; what it sees, as one line of JSON.
import {
  CreateFunctionCommand, CreateFunctionUrlConfigCommand, GetFunctionCommand, InvokeCommand,
  InvokeWithResponseStreamCommand, LambdaClient, ListFunctionsCommand, waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";
import { readFileSync } from "node:fs";

const client = new LambdaClient({
  endpoint: process.argv[2], region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" }, maxAttempts: 1,
});
const runtime = process.argv[3];
const Role = "arn:aws:iam::000000000000:role/any";

async function deploy(name) {
  const ZipFile = readFileSync(`${name}.zip`);
  await client.send(new CreateFunctionCommand({
    FunctionName: `js-${name}`, Runtime: runtime, Handler: "index.handler", Role, Code: { ZipFile },
  }));
  await waitUntilFunctionActiveV2({ client, maxWaitTime: 30, minDelay: 0.1 }, { FunctionName: `js-${name}` });
}

const seen = {};
await deploy("chat");
const text = bytes => new TextDecoder().decode(bytes);
const streamed = await client.send(new InvokeWithResponseStreamCommand({
  FunctionName: "js-chat", Payload: JSON.stringify({ ask: "mayfly" }), LogType: "Tail",
}));
seen.words = [];
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) seen.words.push(text(event.PayloadChunk.Payload));
  if (event.InvokeComplete) seen.complete = Buffer.from(event.InvokeComplete.LogResult, "base64").toString().includes("REPORT");
}
seen.version = streamed.ExecutedVersion;

await deploy("api");
const got = await client.send(new GetFunctionCommand({ FunctionName: "js-api" }));
seen.runtime = got.Configuration.Runtime === runtime;
seen.code = (await fetch(got.Code.Location)).status;
seen.listed = (await client.send(new ListFunctionsCommand({}))).Functions.filter(one => one.FunctionName.startsWith("js-")).length;
const url = await client.send(new CreateFunctionUrlConfigCommand({ FunctionName: "js-api", AuthType: "NONE" }));
const order = await fetch(`${url.FunctionUrl}orders?item=spoons`, { method: "POST", body: JSON.stringify({ pieces: 12 }), headers: { "content-type": "application/json" } });
seen.order = [order.status, order.headers.get("x-api"), await order.json()];
const missing = await fetch(`${url.FunctionUrl}nowhere`);
seen.missing = [missing.status, await missing.json()];

const failed = await client.send(new InvokeCommand({ FunctionName: "js-api", Payload: "7" }));
seen.failed = [failed.FunctionError, JSON.parse(text(failed.Payload)).errorType];
for (const [name, call] of Object.entries({
  unknown: () => client.send(new InvokeCommand({ FunctionName: "js-none" })),
  twice: () => deploy("api"),
})) {
  try {
    await call();
  } catch (error) {
    seen[name] = [error.name, error.$metadata.httpStatusCode];
  }
}
console.log(JSON.stringify(seen));
