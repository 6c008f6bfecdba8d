// Loads a function, hands it one event, sends its answer back.
//
// Runs on Node.js 18 and later inside a sandbox. It is CommonJS, because `import` takes up to half as long as the bare
// interpreter's start, and it loads next to nothing: streams, `net` (which `process.stdout` brings) and `util` come
// when the function asks for them.
//
// The event channel is descriptor 3. A frame is one byte for its kind, four for its length (big-endian), and its body:
//     R  ready for the event                  A  answer, JSON or the bytes of a response stream
//     I  loading failed, error document       E  the handler raised, error document
//     V  the event: length of the header (four bytes), header (JSON), event (JSON); the one frame that comes in
//
// What a function meets depends on the runtime that it asks for, as on AWS: from `nodejs24.x` on, handlers have no
// callback, plain values are answered at once, and a rejection that nobody handles fails the event.

"use strict";

const fs = require("fs");
const path = require("path");

// Kept from the start: the function may replace them.
const { readSync, writeSync } = fs;
const { env } = process;

const CHANNEL = 3;
const TASK = env.LAMBDA_TASK_ROOT || "/var/task";

/** Error documents of more characters are shortened: the platform takes 1 MB, a character has up to three bytes. */
const LONGEST_ERROR = 300_000;

const WITHOUT_CALLBACKS = /nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV)?.[1] >= 24;

const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");

let requestId;

/** The handler has got its event: errors are its own from now on. */
let invoked = false;

/** What happens when the event loop has run empty. */
let whenIdle = () => {};

/** An error in Lambda's words. */
class Fault extends Error {
  constructor(kind, message) {
    super(message);
    Object.defineProperty(this, "name", { value: kind });
    Error.captureStackTrace(this, Fault); // the first line of a stack has the name that counts when it is taken
  }
}

// The channel

/** Writes everything, also where a child of the function has made the descriptor non-blocking. */
function write(descriptor, bytes) {
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(descriptor, bytes, sent);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Sends one frame. Nothing that was printed is left behind: the log is written synchronously. */
function send(kind, body) {
  const head = new Uint8Array(5);
  head[0] = kind.charCodeAt(0);
  if (body) new DataView(head.buffer).setUint32(1, body.length);
  write(CHANNEL, head);
  if (body) write(CHANNEL, body);
}

/** Fills `bytes`. It blocks; the platform closes the channel only when it ends this process. */
function receive(bytes) {
  for (let got = 0; got < bytes.length; ) {
    const read = readSync(CHANNEL, bytes, got, bytes.length - got, null);
    if (read === 0) process.exit(0);
    got += read;
  }
  return bytes;
}

/** The number at a place in `bytes`. */
function numberAt(bytes, place) {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(place);
}

/** Sends the last frame and waits to be killed: the code behind it does not run, but threads of the function do. */
function conclude(kind, body) {
  try {
    send(kind, typeof body === "string" ? Buffer.from(body) : body);
    receive(new Uint8Array(1));
  } finally {
    process.exit(0); // the platform is gone
  }
}

/** The event, as its header and its text. */
function nextEvent() {
  const head = receive(new Uint8Array(5));
  const body = receive(Buffer.allocUnsafe(numberAt(head, 1)));
  const split = 4 + numberAt(body, 0);
  return [JSON.parse(body.toString("utf8", 4, split)), body.toString("utf8", split)];
}

// Logging

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

const METHODS = {
  trace: "TRACE",
  debug: "DEBUG",
  info: "INFO",
  log: "INFO",
  warn: "WARN",
  error: "ERROR",
  fatal: "FATAL",
};

/** The same as `util.format`, which is loaded when there is something to format. */
function format(values) {
  return values.length === 1 && typeof values[0] === "string" ? values[0] : require("util").format(...values);
}

function textRecord(level, values) {
  return [new Date().toISOString(), requestId, level, format(values)].join("\t");
}

function jsonRecord(level, values) {
  const record = { timestamp: new Date().toISOString(), level, requestId };
  if (values.length === 1) {
    try {
      return JSON.stringify({ ...record, message: values[0] }, (_, value) => errorInJson(value));
    } catch {
      return JSON.stringify({ ...record, message: format(values) }); // circular, or a BigInt
    }
  }
  const error = values.find((value) => value instanceof Error);
  return JSON.stringify({ ...record, message: format(values), ...(error && errorFields(error)) });
}

function errorFields(error) {
  return {
    errorType: error.constructor?.name ?? "UnknownError",
    errorMessage: error.message,
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
  };
}

function errorInJson(value) {
  return value instanceof Error ? { ...errorFields(value), ...value } : value;
}

const inJson = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";

/** Writes one record. Carriage returns keep the lines of one record together. */
function log(level, values) {
  const record = inJson ? jsonRecord(level, values) : textRecord(level, values);
  try {
    write(1, Buffer.from(record.replaceAll("\n", "\r") + "\n"));
  } catch {
    // the function has closed its output
  }
}

/** Gives the console Lambda's format, and leaves out what is below the level of the function. */
function patchConsole() {
  const least = LEVELS.indexOf(env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase());
  for (const [method, level] of Object.entries(METHODS)) {
    const logged = LEVELS.indexOf(level) >= least;
    console[method] = logged ? (...values) => log(level, values) : () => {};
  }
}

/** Makes `process.stdout` and `process.stderr` write at once, so that nothing is lost or out of order at the end. */
function makeOutputSynchronous() {
  for (const name of ["stdout", "stderr"]) {
    const property = Object.getOwnPropertyDescriptor(process, name);
    const get = () => {
      const stream = property.get.call(process);
      stream._handle?.setBlocking?.(true);
      Object.defineProperty(process, name, property); // it is the same stream from now on
      return stream;
    };
    Object.defineProperty(process, name, { ...property, get });
  }
}

// Errors

/** The error document of whatever was thrown. */
function describe(error) {
  const trouble = "there was a problem while retrieving one or more of its message, name, and stack";
  try {
    if (!isError(error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
    const { name, message, stack } = error;
    return { errorType: String(name), errorMessage: String(message), trace: stack.split("\n") };
  } catch {
    const errorMessage = `callback called with Error argument, but ${trouble}`;
    return { errorType: "handled", errorMessage, trace: [] };
  }
}

/** Also errors of another realm, and what looks like one. */
function isError(thing) {
  if (thing instanceof Error || require("util").types.isNativeError(thing)) return true;
  const filled = (value) => typeof value === "string" && value !== "";
  return Boolean(thing && filled(thing.name) && filled(thing.message) && filled(thing.stack));
}

/** Logs an error under a title, as Lambda does: with every property of its own. */
function logError(title, error) {
  try {
    const thrown = error instanceof Error ? error : new Error(error);
    log("ERROR", inJson ? [thrown] : [`${title} \t${withProperties(thrown)}`]);
  } catch {
    log("ERROR", [`${title} \t${JSON.stringify(describe(error))}`]);
  }
}

function withProperties(error) {
  return JSON.stringify(error, (_, value) => {
    if (!(value instanceof Error)) return value;
    const fields = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
    if (typeof value.stack === "string") fields.stack = value.stack.split("\n");
    return fields;
  });
}

/** Logs an error and ends the event with its document. */
function fail(title, error) {
  logError(title, error);
  let document = describe(error);
  let text = JSON.stringify(document);
  if (text.length > LONGEST_ERROR) {
    const cut = (value) => value.slice(0, LONGEST_ERROR / 12); // each may become six in JSON
    document = { errorType: cut(document.errorType), errorMessage: cut(document.errorMessage), trace: [] };
    text = JSON.stringify(document);
  }
  conclude(invoked ? "E" : "I", text);
}

// The function

/** The handler called `name`: `path/to/module.exported.nested`. */
async function load(name) {
  if (name.includes("..")) {
    const advice = "Use absolute paths when specifying root directories in handler names.";
    throw new Fault("Runtime.MalformedHandlerName", `'${name}' is not a valid handler name. ${advice}`);
  }
  const base = path.basename(name);
  const dot = base.indexOf(".");
  if (dot < 0) throw new Fault("Runtime.MalformedHandlerName", "Bad handler");
  const directory = path.resolve(TASK, path.dirname(name));
  const module = await loadModule(directory, base.slice(0, dot));
  const exported = base.slice(dot + 1).split(".");
  const handler = [module, module?.default]
    .map((root) => exported.reduce((nested, key) => nested?.[key], root))
    .find(Boolean);
  if (!handler) throw new Fault("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new Fault("Runtime.HandlerNotFound", `${name} is not a function`);
  refuseCallback(handler);
  return handler;
}

async function loadModule(directory, name) {
  try {
    const file = path.join(directory, name);
    if (fs.existsSync(file)) return require(file);
    if (fs.existsSync(`${file}.js`)) {
      return isInModulePackage(directory) ? await importModule(`${file}.js`) : require(`${file}.js`);
    }
    if (fs.existsSync(`${file}.mjs`)) return await importModule(`${file}.mjs`);
    if (fs.existsSync(`${file}.cjs`)) return require(`${file}.cjs`);
    return require(require.resolve(name, { paths: [TASK, directory] }));
  } catch (error) {
    throw inLambdasWords(error);
  }
}

/**
 * Loads an ES module: by `require` where Node knows how, which takes a fifth of the time that `import` takes, and by
 * `import` if it awaits something (that is found out before any of it runs) or if options bring hooks for `import`.
 */
async function importModule(file) {
  if (process.features.require_module && !/import|loader/.test(env.NODE_OPTIONS)) {
    try {
      return require(file);
    } catch (error) {
      if (error?.code !== "ERR_REQUIRE_ASYNC_MODULE") throw error;
    }
  }
  return import(require("url").pathToFileURL(file).href);
}

/** Whether the nearest package.json says that `.js` files are ES modules. */
function isInModulePackage(directory) {
  for (let at = directory; !at.endsWith("/node_modules"); at = path.dirname(at)) {
    const file = path.join(at, "package.json");
    try {
      return JSON.parse(fs.readFileSync(file, "utf8"))?.type === "module";
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (at === "/") break;
  }
  return false;
}

/** What Lambda calls an error of loading. */
function inLambdasWords(error) {
  if (error instanceof SyntaxError) {
    const fault = new Fault("Runtime.UserCodeSyntaxError", String(error));
    fault.stack = error.stack; // it says where
    return fault;
  }
  return error?.code === "MODULE_NOT_FOUND" ? new Fault("Runtime.ImportModuleError", String(error)) : error;
}

function refuseCallback(handler) {
  if (!WITHOUT_CALLBACKS || handler.length < 3 || handler[STREAMING]) return;
  const message =
    "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. " +
    "You need to modify this function to use a supported handler signature to use Node.js 24 or later. " +
    "For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.";
  throw new Fault("Runtime.CallbackHandlerDeprecated", message);
}

/** What a handler learns of its invocation. */
function contextOf(header) {
  const { request_id, function_arn, deadline_ms, client_context } = header;
  return {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client_context ? JSON.parse(client_context) : undefined,
    identity: undefined,
    invokedFunctionArn: function_arn,
    awsRequestId: request_id,
    tenantId: undefined,
    getRemainingTimeInMillis: () => deadline_ms - Date.now(),
  };
}

// Answers

const invokeError = (error) => fail("Invoke Error", error);

/** An answer is on its way. */
let answered = false;

/** Sends what the handler returned, after the rejections of this turn of the event loop have come to light. */
function answer(result) {
  answered = true;
  whenIdle = () => {};
  setImmediate(() => {
    let text;
    try {
      text = JSON.stringify(result) ?? "null";
    } catch {
      const kind = WITHOUT_CALLBACKS ? "Runtime.JSONStringifyError" : "Error";
      return invokeError(new Fault(kind, "Unable to stringify response body"));
    }
    conclude("A", text);
  });
}

function isPromise(thing) {
  return typeof thing?.then === "function";
}

function neverSettled() {
  const message =
    "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise " +
    "that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes";
  invokeError(new Fault("Runtime.NodeJsExit", message));
}

/** Runs a handler of Node.js 24 and later. */
function invoke(handler, event, context) {
  whenIdle = neverSettled;
  const result = handler(event, context);
  if (isPromise(result)) result.then(answer, invokeError);
  else answer(result);
}

/** Runs a handler that may answer in four ways; the first one counts. */
function invokeWithCallback(handler, event, context) {
  let open = true;
  const first = (run) => (...given) => {
    if (!open) return;
    open = false;
    run(...given);
  };
  const settle = (error, result) => (error === undefined || error === null ? answer(result) : invokeError(error));
  const done = first(settle);
  const callback = first((error, result) => {
    const waits = context.callbackWaitsForEmptyEventLoop && (error === undefined || error === null);
    if (waits) whenIdle = () => answer(result);
    else settle(error, result);
  });
  const succeed = (result) => done(null, result);
  const failed = (error) => done(error ?? "handled");
  Object.assign(context, { callbackWaitsForEmptyEventLoop: true, succeed, fail: failed, done });

  let result;
  const isAsync = handler.constructor?.name === "AsyncFunction";
  whenIdle = () => (isAsync ? neverSettled() : answer(result));
  try {
    result = handler(event, context, callback);
  } catch (error) {
    return callback(error);
  }
  if (isPromise(result)) {
    const promise = result;
    result = null; // a promise that is not of an async function, and is never settled
    promise.then(succeed, failed);
  }
}

/** Runs a handler that writes a stream, whose bytes become the answer when it has ended. */
async function invokeStreaming(handler, event, context) {
  const stream = responseStream();
  const finished = new Promise((resolve, reject) => stream.on("finish", resolve).on("error", reject));
  finished.catch(() => {}); // it counts once the handler has returned
  whenIdle = () => invokeError(new Error("Response stream is not finished."));
  const running = handler(event, stream, context);
  if (!isPromise(running)) throw new Error("Streaming does not support non-async handlers.");
  if ((await running) !== undefined) console.warn("Streaming handlers ignore return values.");
  await finished;
  conclude("A", stream.answer());
}

function responseStream() {
  const { Writable } = require("stream");
  const chunks = [];
  const asBytes = (chunk) =>
    typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk);

  class ResponseStream extends Writable {
    _write(chunk, _encoding, written) {
      chunks.push(chunk);
      written();
    }

    write(chunk, ...more) {
      return super.write(asBytes(chunk), ...more);
    }

    setContentType(type) {
      this.contentType = type;
    }

    /** The bytes; with metadata for HTTP, the response that function URLs take. */
    answer() {
      const body = Buffer.concat(chunks);
      if (!this.metadata) return body;
      const headers = { ...(this.contentType && { "content-type": this.contentType }), ...this.metadata.headers };
      return JSON.stringify({
        statusCode: 200,
        ...this.metadata,
        headers,
        body: body.toString("base64"),
        isBase64Encoded: true,
      });
    }
  }
  return new ResponseStream();
}

/** The global `awslambda`, by which a handler says that it writes a stream. */
const awslambda = {
  streamifyResponse(handler) {
    handler[STREAMING] = "response";
    return handler;
  },

  HttpResponseStream: class HttpResponseStream {
    static from(stream, metadata) {
      stream.metadata = metadata;
      return stream;
    }
  },
};

// The life of this process

/** Takes the event and runs the handler. */
function serve(handler) {
  send("R");
  const [header, text] = nextEvent();
  invoked = true;
  requestId = header.request_id;
  if (header.trace_id) process.env._X_AMZN_TRACE_ID = header.trace_id; // also where the function has put another `env`
  else delete process.env._X_AMZN_TRACE_ID;
  try {
    const run = handler[STREAMING] ? invokeStreaming : WITHOUT_CALLBACKS ? invoke : invokeWithCallback;
    run(handler, JSON.parse(text), contextOf(header))?.catch(invokeError);
  } catch (error) {
    invokeError(error);
  }
}

/** An error that nobody handles ends the event; beside an answer that is on its way it is only logged. */
function unhandledRejection(reason, promise) {
  const fault = new Fault("Runtime.UnhandledPromiseRejection", describeReason(reason));
  Object.assign(fault, { reason, promise });
  const title = "Unhandled Promise Rejection";
  if (answered && !WITHOUT_CALLBACKS) logError(title, fault);
  else fail(title, fault);
}

function describeReason(reason) {
  try {
    return String(reason);
  } catch {
    return "the reason cannot be printed";
  }
}

function main() {
  requestId = env._MAYFLY_REQUEST_ID;
  delete env._MAYFLY_REQUEST_ID;
  const uncaught = (error) => fail("Uncaught Exception", error);
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", unhandledRejection);
  process.on("beforeExit", () => whenIdle());
  globalThis.awslambda = awslambda;
  patchConsole();
  makeOutputSynchronous();
  whenIdle = () => process.exit(13); // Node's own status for a top-level await that nothing settles
  // A turn of the event loop lets rejections of loading come to light before the event is asked for.
  load(env._HANDLER ?? "").then((handler) => setImmediate(serve, handler), uncaught);
}

main();
