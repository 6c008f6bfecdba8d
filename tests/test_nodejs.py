"""Node.js functions: how they are loaded, answer and fail, what they log, and what a sandbox lets Node do."""

import base64
import json
import re
import uuid
from typing import NamedTuple

import pytest
from conftest import make_function
from mayfly_process import wait_for

INSTALLED = re.compile(r"runtime +(nodejs(\d+)\.x) ")
MB = 1 << 20
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TYPE_MODULE = '{"type": "module"}'


class Result(NamedTuple):
    """What a call came to: the payload, whether it is an error document, and the end of the log."""

    payload: object
    failed: bool
    log: str


class Node:
    """Runs pieces of JavaScript as functions, each under a name of its own."""

    def __init__(self, server, runtime, major):
        self.functions, self.runtime, self.major = server.client("lambda"), runtime, major

    def make(self, source, **config) -> str:
        """Create a function from the text of index.js, or from files; its name."""
        name = f"node-{uuid.uuid4().hex[:12]}"
        files = source if isinstance(source, dict) else {"index.js": source}
        settings = {"Runtime": self.runtime, "Handler": "index.handler", **config}
        make_function(self.functions, name, files, **settings)
        return name

    def invoke(self, name, event=None, **more) -> Result:
        """Call a function."""
        answer = self.functions.invoke(
            FunctionName=name, Payload=json.dumps(event, ensure_ascii=False).encode(), LogType="Tail", **more
        )
        payload = answer["Payload"].read()
        log = base64.b64decode(answer["LogResult"]).decode()
        return Result(json.loads(payload), "FunctionError" in answer, log)

    def run(self, source, event=None, **config) -> Result:
        """Create a function and call it."""
        return self.invoke(self.make(source, **config), event)


@pytest.fixture(scope="module")
def node(server):
    """The first Node.js that the server found."""
    found = INSTALLED.search(server.read_log())
    if not found:
        pytest.skip("the server found no Node.js 18 or later on this machine")
    return Node(server, found[1], int(found[2]))


@pytest.fixture
def classic(node):
    """A Node.js whose handlers may take a callback."""
    if node.major >= 24:
        pytest.skip(f"{node.runtime} has no callbacks, as on AWS")
    return node


# Loading


@pytest.mark.parametrize("handler, files", [
    ("index.handler", {"index.js": "exports.handler = async () => 1"}),
    ("index.handler", {"index.cjs": "exports.handler = async () => 1"}),
    ("index.handler", {"index.mjs": "export const handler = async () => 1"}),
    ("index.handler", {"index.mjs": "const one = await Promise.resolve(1); export const handler = async () => one"}),
    ("index.handler", {"index.js": "export const handler = async () => 1", "package.json": TYPE_MODULE}),
    ("src/app/main.run", {"src/app/main.js": "export const run = async () => 1", "package.json": TYPE_MODULE}),
    ("src/app.one.two.three", {"src/app.js": "exports.one = { two: { three: async () => 1 } }"}),
    ("index.handler", {"index/index.js": "exports.handler = async () => 1"}),
    ("tool.handler", {"node_modules/tool/index.js": "exports.handler = async () => 1"}),
    ("index.handler", {
        "index.js": "exports.handler = async () => require('tool').one",
        "node_modules/tool/package.json": '{"main": "lib/tool.js"}',
        "node_modules/tool/lib/tool.js": "exports.one = 1",
    }),
    ("index.handler", {  # .js comes before .mjs
        "index.js": "exports.handler = async () => 1", "index.mjs": "export const handler = async () => 2",
    }),
])
def test_a_handler_is_found(node, handler, files):
    assert node.run(files, Handler=handler)[:2] == (1, False)


@pytest.mark.parametrize("handler, source, kind, message", [
    ("index.missing", "exports.handler = 1", "Runtime.HandlerNotFound",
     "index.missing is undefined or not exported"),
    ("index.handler", "exports.handler = 1", "Runtime.HandlerNotFound", "index.handler is not a function"),
    ("other.handler", "", "Runtime.ImportModuleError", "Error: Cannot find module 'other'\nRequire stack:"),
    ("index.handler", "require('nowhere')", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'"),
    ("index.handler", "exports.handler = (", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
    ("index", "", "Runtime.MalformedHandlerName", "Bad handler"),
    ("../index.handler", "", "Runtime.MalformedHandlerName", "'../index.handler' is not a valid handler name."),
    ("index.handler", "throw new RangeError('too early')", "RangeError", "too early"),
    ("index.handler", "Promise.reject(new Error('no')); exports.handler = async () => 1",
     "Runtime.UnhandledPromiseRejection", "Error: no"),
])
def test_an_error_of_loading(node, handler, source, kind, message):
    result = node.run(source, Handler=handler)
    assert result.failed and result.payload["errorType"] == kind, result
    assert result.payload["errorMessage"].startswith(message) and result.payload["trace"]
    request_id = re.search(r"START RequestId: (\S+)", result.log)[1]
    assert re.search(rf"{STAMP}\t{request_id}\tERROR\tUn", result.log), result.log


def test_a_syntax_error_says_where(node):
    assert node.run("let a\nlet a").payload["trace"][0] == "/var/task/index.js:2"


def test_a_module_that_never_settles_ends_the_process(node):
    result = node.run({"index.mjs": "await new Promise(() => {})"})
    assert result.payload["errorType"] == "Runtime.ExitError" and "exit status 13" in result.log


# Answers


@pytest.mark.parametrize("handler, answer", [
    ("async (event) => ({ got: event.n })", {"got": 5}),
    ("(event) => Promise.resolve(event.n)", 5),
    ("(event) => event.n + 1", 6),
    ("async () => {}", None),
    ("async () => () => {}", None),
    ("async () => new Date(0)", "1970-01-01T00:00:00.000Z"),
])
def test_answers(node, handler, answer):
    assert node.run(f"exports.handler = {handler}", {"n": 5})[:2] == (answer, False)


@pytest.mark.parametrize("handler, answer", [
    ("(event, context, callback) => callback(null, event.n)", 5),
    ("(event, context, callback) => { setTimeout(callback, 5, null, 'late') }", "late"),
    ("(event, context, callback) => { callback(null, 1); callback(null, 2); context.fail('no') }", 1),
    ("(event, context, callback) => {}", None),
    ("(event, context) => context.succeed(event.n)", 5),
    ("(event, context) => { setImmediate(() => context.done(null, event.n)) }", 5),
])
def test_callbacks(classic, handler, answer):
    assert classic.run(f"exports.handler = {handler}", {"n": 5})[:2] == (answer, False)


def test_a_callback_waits_for_an_empty_event_loop_unless_told_not_to(classic):
    name = classic.make(
        "exports.handler = (event, context, callback) => {\n"
        "  context.callbackWaitsForEmptyEventLoop = event.waits\n"
        "  setTimeout(() => console.log('went on'), 30)\n"
        "  callback(null, 'done')\n"
        "}"
    )
    assert "went on" in classic.invoke(name, {"waits": True}).log
    result = classic.invoke(name, {"waits": False})
    assert result.payload == "done" and "went on" not in result.log


def test_a_later_runtime_refuses_callbacks(node):
    if node.major < 24:
        pytest.skip(f"{node.runtime} has callbacks, as on AWS")
    result = node.run("exports.handler = (event, context, callback) => callback(null, 1)")
    assert result.payload["errorType"] == "Runtime.CallbackHandlerDeprecated"


def test_large_events_and_answers_arrive_whole(node):
    name = node.make("exports.handler = async (event) => event + event")
    text = "é" * (MB + 100)
    assert node.invoke(name, text).payload == text + text
    error = node.run(f"exports.handler = async () => 'x'.repeat({7 * MB})").payload
    assert error["errorType"] == "Function.ResponseSizeTooLarge"


def test_work_begun_while_loading_goes_on(node):
    source = (
        "const later = new Promise((resolve) => setTimeout(resolve, 20, 'ready'))\n"
        "exports.handler = async () => later"
    )
    assert node.run(source).payload == "ready"


def test_a_stream_is_answered_whole(node):
    source = """
const { pipeline } = require('stream/promises')
const { Readable } = require('stream')
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.http) stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } })
  if (event.fail) throw new Error('in the middle')
  if (event.open) return stream.write('no end')
  await pipeline(Readable.from(['[1', ', 2', ']']), stream)
})
"""
    name = node.make(source)
    assert node.invoke(name, {}).payload == [1, 2]
    response = node.invoke(name, {"http": True}).payload
    assert (response["statusCode"], response["headers"]) == (201, {"a": "b"})
    assert base64.b64decode(response["body"]) == b"[1, 2]"
    assert node.invoke(name, {"fail": True}).payload["errorMessage"] == "in the middle"
    assert "not finished" in node.invoke(name, {"open": True}).payload["errorMessage"]


# Errors


@pytest.mark.parametrize("handler, kind, message", [
    ("async () => { throw new TypeError('bad') }", "TypeError", "bad"),
    ("() => { throw new Error('') }", "Error", ""),
    ("async () => { class Mine extends Error { name = 'Mine' }; throw new Mine('own') }", "Mine", "own"),
    ("async () => { throw { name: 'Like', message: 'an error', stack: 'its stack' } }", "Like", "an error"),
    ("async () => { throw 'text' }", "string", "text"),
    ("async () => { throw { a: 1 } }", "object", "[object Object]"),
    ("async () => { throw Symbol('s') }", "symbol", "Symbol(s)"),
    ("async () => { const e = new Error('knot'); e.self = e; e.big = 1n; throw e }", "Error", "knot"),
    ("async () => { const e = new Error(); Object.defineProperty(e, 'stack', { get() { throw e } }); throw e }",
     "handled", "callback called with Error argument, but there was a problem"),
    ("async () => nowhere", "ReferenceError", "nowhere is not defined"),
    ("async () => { setTimeout(() => { throw new RangeError('late') }); await new Promise((r) => setTimeout(r, 99)) }",
     "RangeError", "late"),
    ("async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 99)) }",
     "Runtime.UnhandledPromiseRejection", "Error: lost"),
    ("async () => { await new Promise(() => {}) }",
     "Runtime.NodeJsExit", "The Lambda runtime client detected an unexpected Node.js exit code."),
])
def test_errors(node, handler, kind, message):
    result = node.run(f"exports.handler = {handler}")
    assert result.failed and result.payload["errorType"] == kind, result
    assert result.payload["errorMessage"].startswith(message)
    assert isinstance(result.payload["trace"], list)
    assert set(result.payload) == {"errorType", "errorMessage", "trace"}


@pytest.mark.parametrize("value", ["{ big: 1n }", "globalThis"])
def test_an_answer_that_json_cannot_say_is_an_error(node, value):
    error = node.run(f"exports.handler = async () => ({value})").payload
    assert error["errorType"] == ("Runtime.JSONStringifyError" if node.major >= 24 else "Error")
    assert error["errorMessage"] == "Unable to stringify response body"


@pytest.mark.parametrize("call, kind, message", [
    ("callback(new SyntaxError('no'))", "SyntaxError", "no"),
    ("callback('text')", "string", "text"),
    ("context.fail(new Error('no'))", "Error", "no"),
    ("context.fail()", "string", "handled"),
    ("context.done({ a: 1 })", "object", "[object Object]"),
])
def test_errors_of_callbacks(classic, call, kind, message):
    result = classic.run(f"exports.handler = (event, context, callback) => {{ {call} }}")
    assert result.failed
    assert (result.payload["errorType"], result.payload["errorMessage"]) == (kind, message)


def test_a_lost_rejection_beside_an_answer(node):
    result = node.run("exports.handler = async () => { Promise.reject(new Error('lost')); return 1 }")
    assert "ERROR\tUnhandled Promise Rejection \t{" in result.log
    assert result.failed if node.major >= 24 else result.payload == 1


def test_an_error_is_logged_whole(node):
    result = node.run(
        "exports.handler = async () => { throw Object.assign(new Error('a\\nb'), { code: 'C', at: { x: 1 } }) }"
    )
    record = re.search(rf"{STAMP}\t\S+\tERROR\tInvoke Error \t(\{{.*\}})", result.log)
    logged = json.loads(record[1])
    assert logged["errorType"] == "Error" and logged["errorMessage"] == "a\nb"
    assert logged["code"] == "C" and logged["at"] == {"x": 1}
    assert logged["stack"] == result.payload["trace"]
    assert any("/var/task/index.js:1:" in line for line in logged["stack"])


def test_a_huge_error_is_shortened(node):
    source = "exports.handler = async () => { throw new Error('\\u0001'.repeat(3e6)) }"
    error = node.run(source, MemorySize=512).payload
    assert error["errorType"] == "Error" and set(error["errorMessage"]) == {"\x01"}


# The log


def test_console_has_lambdas_format(node):
    result = node.run("""
exports.handler = async () => {
  console.log('plain'); console.info('a %s', 'b'); console.warn('one\\ntwo'); console.error({ deep: { er: [1] } })
  console.debug('d'); console.trace('t'); console.fatal('f')
  process.stdout.write('raw\\n'); process.stderr.write('also raw\\n')
  console.log('last')
}
""")
    request_id = re.search(r"START RequestId: (\S+)", result.log)[1]
    lines = re.sub(STAMP, "NOW", result.log).splitlines()[1:-2]
    expected = ["INFO\tplain", "INFO\ta b", "WARN\tone", "two", "ERROR\t{ deep: { er: [ 1 ] } }", "DEBUG\td",
                "TRACE\tt", "FATAL\tf", "raw", "also raw", "INFO\tlast"]
    levels = ("INFO", "WARN", "ERROR", "DEBUG", "TRACE", "FATAL")
    assert lines == [f"NOW\t{request_id}\t{line}" if line.startswith(levels) else line for line in expected]


def test_nothing_printed_is_lost(server, node):
    name = node.make(  # more than a pipe holds, in few lines
        "exports.handler = async () => {\n"
        "  for (let n = 0; n < 4; n++) process.stdout.write('x'.repeat(100_000) + n + '\\n')\n"
        "  process.exit(0)\n"
        "}"
    )
    assert node.invoke(name).payload["errorType"] == "Runtime.ExitError"

    def complete():
        log = server.mayfly("logs", name, "--endpoint", server.url)
        return all("x" * 100_000 + str(n) in log for n in range(4))

    wait_for(complete, 20, "all that was printed")


def test_json_records(node):
    source = """
exports.handler = async () => {
  console.debug('hidden'); console.log('text'); console.warn({ a: 1 }); console.error(new TypeError('alone'))
  console.info('%s and', 'an error', new RangeError('among others')); console.log(1n)
  throw new Error('end')
}
"""
    short = {"Variables": {"NODE_OPTIONS": "--stack-trace-limit=1"}}  # all of it fits into the tail of the log
    result = node.run(source, LoggingConfig={"LogFormat": "JSON"}, Environment=short)
    request_id = re.search(r'"requestId":"(\S+?)"', result.log)[1]
    records = [json.loads(line) for line in result.log.splitlines() if '"message"' in line]
    assert all(re.fullmatch(STAMP, record["timestamp"]) for record in records)
    assert {record["requestId"] for record in records} == {request_id}
    assert [record["level"] for record in records] == ["INFO", "WARN", "ERROR", "INFO", "INFO", "ERROR"]
    assert records[:2] == [{**records[0], "message": "text"}, {**records[1], "message": {"a": 1}}]
    assert records[2]["message"]["errorType"] == "TypeError" and records[2]["message"]["stackTrace"]
    assert records[3]["errorMessage"] == "among others" and records[3]["message"].startswith("an error and")
    assert records[4]["message"] == "1n"
    assert records[5]["message"]["errorMessage"] == "end"


# What a function meets


def test_context(node):
    name = node.make(
        "exports.handler = async (event, context) => [context, context.getRemainingTimeInMillis(),\n"
        "  typeof context.identity, typeof context.tenantId, process.env]",
        MemorySize=256, Timeout=20, Environment={"Variables": {"MINE": "1"}},
    )
    sent = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
    result = node.invoke(name, ClientContext=sent)
    context, remaining, *types, environment = result.payload
    waits = context.pop("callbackWaitsForEmptyEventLoop", None)
    assert waits is (None if node.major >= 24 else True)
    assert context == {
        "functionName": name, "functionVersion": "$LATEST", "memoryLimitInMB": "256",
        "invokedFunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
        "logGroupName": f"/aws/lambda/{name}", "logStreamName": environment["AWS_LAMBDA_LOG_STREAM_NAME"],
        "awsRequestId": re.search(r"START RequestId: (\S+)", result.log)[1],
        "clientContext": {"custom": {"k": "v"}},
    }
    assert 0 < remaining <= 20_000 and types == ["undefined", "undefined"]
    assert environment["MINE"] == "1" and environment["_HANDLER"] == "index.handler"
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{node.runtime}"
    assert environment["NODE_PATH"].startswith(f"/opt/nodejs/node{node.major}/node_modules:/opt/nodejs/node_modules:")
    assert environment["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert not [variable for variable in environment if "MAYFLY" in variable]


def test_node_options_count(node):
    name = node.make(
        "exports.handler = async () => [process.execArgv.join(' '), Error.stackTraceLimit,\n"
        "  require('v8').getHeapStatistics().heap_size_limit >> 20]",
        MemorySize=1024, Environment={"Variables": {"NODE_OPTIONS": "--stack-trace-limit=3"}},
    )
    options, limit, heap = node.invoke(name).payload
    assert "--max-old-space-size=922" in options and limit == 3 and heap > 900
    node.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"NODE_OPTIONS": "--max_old_space_size=300"}}
    )
    options, limit, heap = node.invoke(name).payload
    assert "space" not in options and limit == 10 and 300 <= heap < 900


# Each is tried inside one and the same function; what it should give is beside it.
ABILITIES = {
    "worker threads": ("""
        const { Worker } = require('worker_threads')
        const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true })
        return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))""", 42),
    "a child's output": ("return String(require('child_process').execFileSync('echo', ['hello']))", "hello\n"),
    "a child has no event channel": (
        "return String(require('child_process').execSync('readlink /proc/$$/fd/3 || echo none'))", "none\n"),
    "a child that talks": ("""
        require('fs').writeFileSync('/tmp/child.js', 'process.send(7)')
        const child = require('child_process').fork('/tmp/child.js')
        return new Promise((resolve, reject) => child.on('message', resolve).on('error', reject))""", 7),
    "ending a child": ("""
        const child = require('child_process').spawn('sleep', ['100'])
        child.on('spawn', () => child.kill())
        return new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal)))""", "SIGTERM"),
    "fetch from the platform": ("return (await fetch(process.env.AWS_ENDPOINT_URL + '/health')).status", 200),
    "a server of its own": ("""
        const server = require('http').createServer((request, response) => response.end('served'))
        await new Promise((resolve) => server.listen(0, resolve))
        const response = await fetch(`http://localhost:${server.address().port}`)
        server.unref()
        return response.text()""", "served"),
    "crypto": ("""
        const crypto = require('crypto')
        crypto.generateKeyPairSync('ed25519')
        const bytes = await new Promise((resolve) => crypto.randomBytes(8, (error, bytes) => resolve(bytes)))
        return [bytes.length, crypto.createHash('sha256').update('a').digest('hex').slice(0, 8)]""",
               [8, "ca978112"]),
    "WebAssembly": ("""
        const add = '0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b'
        return (await WebAssembly.instantiate(Buffer.from(add, 'hex'))).instance.exports.add(2, 3)""", 5),
    "files in /tmp": ("""
        const fs = require('fs/promises')
        await fs.mkdir('/tmp/a/b', { recursive: true })
        await fs.writeFile('/tmp/a/b/file', 'text')
        await fs.cp('/tmp/a', '/tmp/c', { recursive: true })
        await fs.rm('/tmp/a', { recursive: true })
        return fs.readFile('/tmp/c/b/file', 'utf8')""", "text"),
    "the package cannot be written": ("""
        return require('fs/promises').writeFile('/var/task/file', '').catch((error) => error.code)""", "EROFS"),
    "zlib": ("""
        const zlib = require('zlib')
        const zip = require('util').promisify(zlib.gzip)
        return [zlib.gunzipSync(await zip('text')), zlib.brotliDecompressSync(zlib.brotliCompressSync('text'))]
          .map(String)""", ["text", "text"]),
    "names": ("return (await require('dns').promises.lookup('localhost', { family: 4 })).address", "127.0.0.1"),
    "Intl": ("return new Date(0).toLocaleString('de-DE', { timeZone: 'Asia/Tokyo' })", "1.1.1970, 09:00:00"),
    "the user": ("return [process.getuid(), require('os').userInfo().homedir]", [993, "/home/sbx_user1051"]),
    "standard input is empty": ("let text = ''; for await (const part of process.stdin) text += part; return text", ""),
    "import of what is built in": ("return (await import('node:path')).sep", "/"),
    "collecting garbage": ("gc(); return typeof gc", "function"),
}


def test_a_sandbox_lets_node_do_what_it_can(node):
    bodies = ",\n".join(f"{json.dumps(name)}: async () => {{ {body} }}" for name, (body, _) in ABILITIES.items())
    result = node.run(
        f"const abilities = {{ {bodies} }}\n"
        "exports.handler = async () => {\n"
        "  const found = {}\n"
        "  for (const [name, run] of Object.entries(abilities)) {\n"
        "    found[name] = await run().catch((error) => error.stack)\n"
        "  }\n"
        "  return found\n"
        "}",
        MemorySize=512, Timeout=60,
    )
    assert result.payload == {name: expected for name, (_, expected) in ABILITIES.items()}, result.log


@pytest.mark.parametrize("body, message", [
    ("process.exit(0)", "Runtime exited without providing a reason"),
    ("process.exit(7)", "Runtime exited with error: exit status 7"),
    ("process.kill(process.pid, 'SIGKILL')", "Runtime exited with error: signal: killed"),
    ("for (const a = [];;) a.push(Buffer.alloc(8 << 20, 1))", "Runtime exited with error: signal: killed"),
    ("for (const a = [];;) a.push(new Array(1e5).fill(0.5))", "Runtime exited with error: signal: "),
])
def test_the_end_of_the_process(node, body, message):
    error = node.run(f"exports.handler = async () => {{ {body} }}", Timeout=30).payload
    assert error["errorType"] == "Runtime.ExitError" and message in error["errorMessage"]


@pytest.mark.parametrize("body", ["for (;;) {}", "await new Promise((resolve) => setTimeout(resolve, 60_000))"])
def test_time_is_up(node, body):
    error = node.run(f"exports.handler = async () => {{ console.log('begun'); {body} }}", Timeout=1)
    assert error.payload["errorType"] == "Sandbox.Timedout" and "begun" in error.log


def test_each_event_has_a_fresh_process(node):
    name = node.make(
        "const fs = require('fs')\nlet calls = 0\n"
        "exports.handler = async () => {\n"
        "  fs.appendFileSync('/tmp/seen', 'x')\n"
        "  return [++calls, fs.statSync('/tmp/seen').size]\n"
        "}"
    )
    assert [node.invoke(name).payload for _ in range(3)] == [[1, 1]] * 3
