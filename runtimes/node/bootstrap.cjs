// Loads a function, hands it its events one after another, sends its answers back.
//
// Runs on Node.js 18 and later inside a sandbox. It is CommonJS, because `import` takes up to half as long as the bare
// interpreter's start, and it loads next to nothing: streams, `net` (which `process.stdout` brings) and `util` come
// when the function asks for them.
//
// The event channel is descriptor 3. A frame is one byte for its kind, four for its length (big-endian), and its body:
//     R  ready for an event                         A  answer, JSON or the bytes of a response stream
//     I  loading or a hook failed, error document   E  the handler raised, error document
//     S  ready to be copied
// and those that come in:
//     V  an event: length of the header (four bytes), header (JSON), event (JSON)
//     S  this process is about to be copied: answered by S
//     C  this process is a copy: JSON with `environment`, variables to set; answered by R
//
// While a frame is waited for, no code of the function runs in this thread, as on AWS between events.
//
// What a function meets depends on the runtime that it asks for, as on AWS: from `nodejs24.x` on, handlers have no
// callback, plain values are answered at once, and a rejection that nobody handles fails the event.

"use strict";

const fs = require("fs");
const path = require("path");

// Kept from the start: the function may replace them.
const { closeSync, openSync, readlinkSync, readSync, writeSync } = fs;
const { env, exit } = process;
const { setImmediate } = globalThis;
const collectGarbage = globalThis.gc;

const CHANNEL = 3;
const TASK = env.LAMBDA_TASK_ROOT || "/var/task";

/** Error documents of more characters are shortened: the platform takes 1 MB, a character has up to three bytes. */
const LONGEST_ERROR = 300_000;

const WITHOUT_CALLBACKS = /nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV)?.[1] >= 24;

const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");

let requestId;

/** The event that is being handled. */
let current;

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

/** Calls until the system does something: a child of the function may have made the descriptor non-blocking. */
function patiently(call, ...given) {
  for (;;) {
    try {
      return call(...given);
    } catch (error) {
      if (error.code !== "EAGAIN" && error.code !== "EINTR") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** While it is true, nothing is written. */
let rehearsing = false;

/** Writes everything. */
function write(descriptor, bytes) {
  for (let sent = rehearsing ? bytes.length : 0; sent < bytes.length; ) {
    sent += patiently(writeSync, descriptor, bytes, sent);
  }
}

/** Sends one frame. Nothing that was printed is left behind: the log is written synchronously. */
function send(kind, body = "") {
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const frame = Buffer.allocUnsafe(5 + length);
  frame[0] = kind.charCodeAt(0);
  frame.writeUInt32BE(length, 1);
  if (typeof body === "string") frame.write(body, 5);
  else frame.set(body, 5);
  write(CHANNEL, frame);
}

/** Fills `bytes` from a place on, at least up to another one; how far. It blocks. */
function fill(bytes, from, least) {
  while (from < least) {
    const read = patiently(readSync, CHANNEL, bytes, from, bytes.length - from, null);
    if (read === 0) exit(0); // the platform closes the channel only when it ends this process
    from += read;
  }
  return from;
}

/** What has come: the last frame, up to `used`, and what came along with it. */
const arrived = Buffer.allocUnsafeSlow(64 * 1024);
let used = 0;
let filled = 0;

/** The next frame: its kind, and its body, which is overwritten by the one after. One read, unless it is long. */
function receive() {
  if (used < filled) arrived.copyWithin(0, used, filled);
  filled = fill(arrived, filled - used, 5);
  const kind = String.fromCharCode(arrived[0]);
  const end = 5 + arrived.readUInt32BE(1);
  if (end <= arrived.length) {
    filled = fill(arrived, filled, end);
    used = end;
    return [kind, arrived.subarray(5, end)];
  }
  const body = Buffer.allocUnsafeSlow(end - 5);
  arrived.copy(body, 0, 5, filled);
  fill(body, filled - 5, body.length);
  used = filled = 0;
  return [kind, body];
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

/** Logs an error: its document, as text. */
function refusal(title, error) {
  logError(title, error);
  let document = describe(error);
  let text = JSON.stringify(document);
  if (text.length > LONGEST_ERROR) {
    const cut = (value) => value.slice(0, LONGEST_ERROR / 12); // each may become six in JSON
    document = { errorType: cut(document.errorType), errorMessage: cut(document.errorMessage), trace: [] };
    text = JSON.stringify(document);
  }
  return text;
}

/** Tells of an error after which there is no going on. */
function die(title, error, status) {
  try {
    send(current ? "E" : "I", refusal(title, error));
    if (!current) fill(arrived, 0, arrived.length); // waits to be killed
    closeSync(CHANNEL); // the platform must not hand over another event
  } finally {
    exit(status);
  }
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

/**
 * Ends an event, unless it has ended: with what `last` makes, a frame's kind and body, after the code that is running
 * has returned and the rejections of this turn of the event loop have come to light.
 */
function settle(event, last) {
  if (event.settled) return;
  event.settled = true;
  whenIdle = () => {};
  setImmediate(() => event.end(...last()));
}

/** Ends an event with an error. */
function fail(event, error) {
  if (event.settled) return;
  const text = refusal("Invoke Error", error);
  settle(event, () => ["E", text]);
}

/** Ends an event with what the handler returned. */
function answer(event, result) {
  settle(event, () => {
    try {
      return ["A", JSON.stringify(result) ?? "null"];
    } catch {
      const kind = WITHOUT_CALLBACKS ? "Runtime.JSONStringifyError" : "Error";
      return ["E", refusal("Invoke Error", new Fault(kind, "Unable to stringify response body"))];
    }
  });
}

function isPromise(thing) {
  return typeof thing?.then === "function";
}

function neverSettled() {
  const message =
    "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise " +
    "that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes";
  die("Invoke Error", new Fault("Runtime.NodeJsExit", message), 13);
}

/** Runs a handler of Node.js 24 and later. */
function invoke(handler, event, payload, context) {
  whenIdle = neverSettled;
  const result = handler(payload, context);
  if (!isPromise(result)) return answer(event, result);
  result.then(
    (value) => answer(event, value),
    (error) => fail(event, error),
  );
}

/** Runs a handler that may answer in four ways; the first one counts. */
function invokeWithCallback(handler, event, payload, context) {
  let open = true;
  const first = (run) => (...given) => {
    if (!open) return;
    open = false;
    run(...given);
  };
  const isError = (error) => error !== undefined && error !== null;
  const finish = (error, result) => (isError(error) ? fail(event, error) : answer(event, result));
  const done = first(finish);
  const callback = first((error, result) => {
    if (context.callbackWaitsForEmptyEventLoop && !isError(error)) whenIdle = () => answer(event, result);
    else finish(error, result);
  });
  const succeed = (result) => done(null, result);
  const failed = (error) => done(error ?? "handled");
  Object.assign(context, { callbackWaitsForEmptyEventLoop: true, succeed, fail: failed, done });

  let result;
  const isAsync = handler.constructor?.name === "AsyncFunction";
  whenIdle = () => (isAsync ? neverSettled() : answer(event, result));
  try {
    result = handler(payload, context, callback);
  } catch (error) {
    return callback(error);
  }
  if (isPromise(result)) {
    const promise = result;
    result = null; // a promise that is not of an async function, and is never settled
    promise.then(succeed, failed);
  }
}

/** Runs a handler that writes a stream, whose bytes are sent as they are written. */
async function invokeStreaming(handler, event, payload, context) {
  const stream = responseStream(event);
  const finished = new Promise((resolve, reject) => stream.on("finish", resolve).on("error", reject));
  finished.catch(() => {}); // it counts once the handler has returned
  whenIdle = () => fail(event, new Error("Response stream is not finished."));
  const running = handler(payload, stream, context);
  if (!isPromise(running)) throw new Error("Streaming does not support non-async handlers.");
  if ((await running) !== undefined) console.warn("Streaming handlers ignore return values.");
  await finished;
  stream.begin();
  settle(event, () => ["A", ""]);
}

/** The most bytes that are sent at once. */
const PIECE = 256 * 1024;

function responseStream(event) {
  const { Writable } = require("stream");
  const asBytes = (chunk) =>
    typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk);

  class ResponseStream extends Writable {
    _write(chunk, _encoding, written) {
      this.begin();
      for (let at = 0; at < chunk.length; at += PIECE) this.send("D", chunk.subarray(at, at + PIECE));
      // Others have a turn before the next piece.
      setImmediate(written);
    }

    write(chunk, ...more) {
      return super.write(asBytes(chunk), ...more);
    }

    setContentType(type) {
      if (this.begun) throw new Fault("InvalidStreamingOperation", "Cannot set content-type, too late.");
      this.contentType = type;
    }

    /** Says of what type the stream is, once; with metadata for HTTP, says those first. */
    begin() {
      if (this.begun) return;
      this.begun = true;
      if (!this.metadata) return this.send("H", this.contentType ?? "");
      const headers = { ...(this.contentType && { "content-type": this.contentType }), ...this.metadata.headers };
      this.send("H", "application/vnd.awslambda.http-integration-response");
      this.send("D", JSON.stringify({ statusCode: 200, ...this.metadata, headers }) + "\0".repeat(8));
    }

    /** Sends a part of the answer; a rehearsal has nobody to send it to, and an event that has ended no more. */
    send(kind, body) {
      if (!event.settled) event.part?.(kind, body);
    }
  }
  return new ResponseStream();
}

/** Called before copies are made, the last one first, and in each copy, the first one first. */
const hooks = { beforeSnapshot: [], afterRestore: [] };

/**
 * The global `awslambda`, by which a handler says that it writes a stream, and by which a function registers hooks: in
 * Python's words, for AWS has none for Node.js.
 */
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

  registerBeforeSnapshot(hook, ...given) {
    hooks.beforeSnapshot.unshift(() => hook(...given));
    return hook;
  },

  registerAfterRestore(hook, ...given) {
    hooks.afterRestore.push(() => hook(...given));
    return hook;
  },
};

// Copies

/**
 * Replaces `Math.random` before the function can get hold of it: V8's own has a state that every copy would have, and
 * nothing to change it by. This one is xoshiro128** of Blackman and Vigna; it returns what gives it a new state.
 */
function replaceRandom() {
  const { imul } = Math;
  const state = Int32Array.from({ length: 4 }, () => Math.random() * 2 ** 32);
  const next = () => {
    const b = state[1];
    const c = state[2] ^ state[0];
    const d = state[3] ^ b;
    const word = imul(b, 5);
    state[0] ^= d;
    state[1] = b ^ c;
    state[2] = c ^ (b << 9);
    state[3] = (d << 11) | (d >>> 21);
    return imul((word << 7) | (word >>> 25), 9);
  };
  const replacement = {
    random() {
      return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
    },
  };
  Math.random = replacement.random;
  return (words) => state.set(words);
}

const seedRandom = replaceRandom();

/** Words from the system, without loading `crypto`. */
function entropy() {
  const words = new Int32Array(4);
  const source = openSync("/dev/urandom");
  readSync(source, words);
  closeSync(source);
  return words;
}

/** Gives this process what no other copy has. OpenSSL does so by itself: it sees that the process has another id. */
function reseed() {
  seedRandom(entropy());
  try {
    Object.defineProperty(process, "pid", { value: Number(readlinkSync("/proc/self")) });
  } catch {
    // there is no /proc, or the function has made it constant
  }
}

/** How many values Node takes from OpenSSL at a time, and keeps: copies would have the same. */
const KEPT = { randomUUID: 128, randomInt: 1024 };

/** Uses up what Node keeps, so that each copy takes its own. It can be seen when Node takes more. */
function useUpWhatIsKept(crypto) {
  let taken;
  const init = (_id, type) => (taken ||= type === "RANDOMBYTESREQUEST");
  const watch = require("async_hooks").createHook({ init });
  const draws = { randomUUID: () => crypto.randomUUID(), randomInt: () => crypto.randomInt(2) };
  for (const [name, draw] of Object.entries(draws)) {
    taken = false;
    watch.enable();
    for (let drawn = 0; !taken; drawn++) {
      if (drawn > KEPT[name]) throw new Fault("Runtime.NotCopied", `this Node.js keeps more of ${name} than known`);
      draw();
    }
    watch.disable();
    for (let drawn = 1; drawn < KEPT[name]; drawn++) draw();
  }
}

/** Runs what every event runs: code is compiled when it first runs, in memory that copies share. */
async function rehearse(handler) {
  const header = '{"request_id":"","deadline_ms":0,"client_context":null,"function_arn":"","trace_id":""}';
  const body = Buffer.from(`....${header}{"key":["value",1,2.5,null,true]}`);
  body.writeUInt32BE(header.length);
  const answering = handler[STREAMING]
    ? awslambda.streamifyResponse(async (event, stream) => void stream.end(event))
    : async (event, context) => [event, context.getRemainingTimeInMillis()];
  const failing = () => {
    throw new Fault("Rehearsal", "");
  };
  const quietly = (call, ...given) => {
    rehearsing = true;
    call(...given);
    rehearsing = false;
  };
  for (let i = 0; i < 10; i++) {
    for (const part of [answering, failing]) {
      const [kind, said] = await new Promise((resolve) => {
        quietly(handle, part, { end: (...last) => resolve(last) }, body);
      });
      quietly(send, kind, said);
    }
    takeOver({});
  }
  requestId = undefined;
  delete process.env._X_AMZN_TRACE_ID;
}

/** Comes before copies are made, however many. */
async function getReadyToBeCopied(handler) {
  for (const hook of hooks.beforeSnapshot) await hook();
  await rehearse(handler);
  if (process.moduleLoadList.some((module) => module.includes("crypto"))) useUpWhatIsKept(require("crypto"));
  collectGarbage?.();
}

/** Makes the process one of its own. */
function takeOver(environment) {
  for (const [name, value] of Object.entries(environment)) process.env[name] = value;
  reseed();
}

/** Comes first in every copy. */
async function becomeCopy(body) {
  takeOver(JSON.parse(body.toString()).environment);
  for (const hook of hooks.afterRestore) await hook();
}

// The life of this process

/** Runs the handler with the event of a frame. */
function handle(handler, event, body) {
  const split = 4 + body.readUInt32BE(0);
  const header = JSON.parse(body.toString("utf8", 4, split));
  const text = body.toString("utf8", split);
  requestId = header.request_id;
  process.env._X_AMZN_TRACE_ID = header.trace_id; // also where the function has put another `env`
  try {
    const run = handler[STREAMING] ? invokeStreaming : WITHOUT_CALLBACKS ? invoke : invokeWithCallback;
    run(handler, event, JSON.parse(text), contextOf(header))?.catch((error) => fail(event, error));
  } catch (error) {
    fail(event, error);
  }
}

/**
 * Waits for a frame and does what it says. What is next comes in another turn of the event loop, whose clock has stood
 * still while this one waited: so timers count from now, and connections that have been closed are known to be.
 */
function next(handler) {
  const [kind, body] = receive();
  if (kind === "V") {
    current = {
      settled: false,
      part: send,
      end(kind, body) {
        send(kind, body);
        current = undefined;
        next(handler);
      },
    };
    setImmediate(handle, handler, current, body);
  } else {
    const step = kind === "S" ? getReadyToBeCopied(handler) : becomeCopy(body);
    whenIdle = () => die("Hook Error", new Fault("Runtime.NodeJsExit", "A hook was never settled"), 13);
    const go = () => {
      send(kind === "S" ? "S" : "R");
      next(handler);
    };
    step.then(
      () => setImmediate(go),
      (error) => die("Hook Error", error, 1),
    );
  }
}

/** An error that nobody handles ends the process; beside an answer that is on its way it is only logged. */
function unhandledRejection(reason, promise) {
  const fault = new Fault("Runtime.UnhandledPromiseRejection", describeReason(reason));
  Object.assign(fault, { reason, promise });
  const title = "Unhandled Promise Rejection";
  if (current?.settled && !WITHOUT_CALLBACKS) logError(title, fault);
  else die(title, fault, 128);
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
  const uncaught = (error) => die("Uncaught Exception", error, 129);
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", unhandledRejection);
  process.on("beforeExit", () => whenIdle());
  globalThis.awslambda = awslambda;
  patchConsole();
  makeOutputSynchronous();
  whenIdle = () => exit(13); // Node's own status for a top-level await that nothing settles
  // A turn of the event loop lets rejections of loading come to light before the event is asked for.
  const begin = (handler) => {
    send("R");
    next(handler);
  };
  load(env._HANDLER ?? "").then((handler) => setImmediate(begin, handler), uncaught);
}

main();
