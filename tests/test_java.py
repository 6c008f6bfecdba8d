"""Functions in Java: handlers of every kind, as AWS documents them, and what they meet when they run."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make_function, zip_of
from mayfly_process import ROOT

JAR = ROOT / "runtimes/java/target/bootstrap.jar"  # it holds the interfaces that handlers implement
SOURCES = Path(__file__).parent / "java"
CLASS = "example.Functions"


def why_not(server):
    """Why there is nothing to test here; empty if there is."""
    if not shutil.which("javac"):
        return "no JDK here"
    if not JAR.exists():
        return "scripts/java_runtime.sh has built no Java runtime"
    return "" if runtimes(server) else "the server offers no Java"


def runtimes(server):
    """The names of the Java runtimes that a server offers."""
    return sorted(set(re.findall(r"runtime +(java\d+) ", server.read_log())))


@pytest.fixture(scope="module")
def classes(server, tmp_path_factory, pytestconfig):
    """The compiled handlers, by their path in a package."""
    reason = why_not(server)
    if reason:
        pytestconfig.pluginmanager.getplugin("terminalreporter").write_line(f"Java is not tested: {reason}")
        pytest.skip(reason)
    return compiled(tmp_path_factory.mktemp("classes"), "example", JAR)


def compiled(target, package, *path):
    """Compiles the handlers of a package against the jars of `path`."""
    files = sorted(map(str, SOURCES.glob(f"{package}/*.java")))
    command = ["javac", "--release", "11", "-cp", ":".join(map(str, path)), "-d", str(target), *files]
    subprocess.run(command, check=True, timeout=120)
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*.class")}


class Answer:
    """What came of an event."""

    def __init__(self, response):
        self.error = response.get("FunctionError")
        self.text = response["Payload"].read().decode()
        self.log = base64.b64decode(response["LogResult"]).decode()

    @property
    def json(self):
        """The answer as a value."""
        return json.loads(self.text)


@pytest.fixture(params=["first", "last"])
def call(request, server, classes):
    """Makes a function of a handler, hands it one event, and removes it; with the oldest and with the newest Java."""
    names = sorted(runtimes(server), key=lambda name: int(name[4:]))
    if request.param == "last" and len(names) == 1:
        pytest.skip("there is only one Java here")
    runtime = names[0 if request.param == "first" else -1]
    functions = server.client("lambda", read_timeout=60)

    def call(handler, event=None, raw=None, files=None, client_context=None, **config):
        settings = {"Runtime": runtime, "MemorySize": 512, "Timeout": 30, **config}
        package = {**classes, **(files or {})}
        package = {name: content for name, content in package.items() if content is not None}
        make_function(functions, "java", package, Handler=handler, **settings)
        try:
            extra = {"ClientContext": base64.b64encode(client_context).decode()} if client_context else {}
            payload = json.dumps(event) if raw is None else raw
            return Answer(functions.invoke(FunctionName="java", Payload=payload, LogType="Tail", **extra))
        finally:
            functions.delete_function(FunctionName="java")

    return call


# Types


def test_objects(call):
    event = {
        "id": "o1", "count": 2, "price": 1.5, "items": [{"name": "é"}, {"name": "b"}], "stock": {"a": 40},
        "when": "2026-01-31T12:00:00Z", "color": "GREEN", "unknown": [1],
    }
    assert call(f"{CLASS}$Objects", event).json == {
        "id": "o1 GREEN", "total": 42, "when": 1769860800000, "instant": 1.0, "perhaps": "yes",
        "names": ["é", "b"],
    }


@pytest.mark.parametrize(
    "handler, event, answer",
    [
        ("$FirstItem", [{"name": "a"}, {"name": "b"}], {"name": "a!"}),
        ("::same", {"a": [1, 2.5, None, "x", {}], "b": True}, {"a": [1, 2.5, None, "x", {}], "b": True}),
        ("::same", "text", "text"),
        ("::same", None, None),
        ("::text", "a\"\n\té", "<a\"\n\té>"),
        ("::text", 5, "<5>"),
        ("::length", "x" * 100_000, 100_000),
        ("::sum", [1, 2, 3], 6),
        ("::truth", False, True),
        ("::nothing", {}, None),
        ("::alone", {}, "java"),
        ("::writes", {}, 42),
        ("::reads", {}, None),
        ("::chosen", "x", "with context"),
        (
            "::map",
            {"i": 1, "l": 2**40, "b": 2**70, "d": 1.0, "s": "", "t": True, "n": None, "a": [], "o": {}},
            {"i": "Integer", "l": "Long", "b": "BigInteger", "d": "Double", "s": "String", "t": "Boolean",
             "a": "ArrayList", "o": "LinkedHashMap"},
        ),
        (
            "::plain",
            {"k": "v", "n": 1},
            {"k": "v", "n": "1", "list": [1, 2.5, "x\u0001\"\\é😀", True, [1]], "big": 1.10},
        ),
    ],
)
def test_types_of_events_and_answers(call, handler, event, answer):
    got = call(CLASS + handler, event)
    assert (got.error, got.json) == (None, answer), got.log


def test_strings_are_put_together_without_invokedynamic(call):
    assert call(f"{CLASS}::together").json == [
        "-1 -2ü1.5|1.0E100true-9223372036854775808", "nullnull", "true", "\1-2\2", "a1b", "n3!", "sbx5ü", "true",
        "file:/var/task/", "example"]


def test_lambdas_are_what_they_were(call):
    assert call(f"{CLASS}::lambdas").json == [
        "1099511627776 0.5 3 false", "7", "true", "null", "ran", "true", "abab", "false", "true"]


def test_streams_get_and_give_bytes(call):
    assert call(f"{CLASS}$Streams", raw=b'{"a": 1 }').text == '<p>{"a": 1 }'


def test_a_functions_own_serializer(call):
    services = {"META-INF/services/com.amazonaws.services.lambda.runtime.CustomPojoSerializer": "example.Reversed"}
    assert call(f"{CLASS}::text", raw=b"123", files=services).json == "java.lang.String <321>"


@pytest.fixture(scope="module")
def events(classes, tmp_path_factory):
    """A package of handlers of AWS's own events, with the jars of their classes."""
    if not shutil.which("mvn"):
        pytest.skip("no Maven here")
    jars = tmp_path_factory.mktemp("jars")
    command = ["mvn", "-q", "-B", "-f", SOURCES / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    subprocess.run([*command, "-DexcludeArtifactIds=crac"], check=True, timeout=150)
    jars = sorted(jars.glob("*.jar"))
    files = {f"lib/{jar.name}": jar.read_bytes() for jar in jars}
    return files | compiled(tmp_path_factory.mktemp("events"), "events", JAR, *jars)


@pytest.mark.timeout(240)
def test_events_of_aws(call, events):
    def handle(handler, event):
        answer = call(f"events.Events{handler}", event, files=events)
        assert answer.error is None, answer.log
        return answer.json

    message = {"body": "hi", "eventSourceARN": "arn:q", "messageAttributes": {"a": {"stringValue": "v", "dataType": "String"}}}
    assert handle("$Queue", {"Records": [message]}) == {"batchItemFailures": [{"itemIdentifier": "hi arn:q v"}]}
    record = {"eventTime": "2026-01-31T12:00:00.000Z", "s3": {"object": {"key": "a+b%C3%A9", "size": 1}}}
    assert handle("::object", {"Records": [record]}) == "2026 a bé"
    record = {"EventSource": "aws:sns", "Sns": {"Message": "hi", "Timestamp": "2026-01-31T12:00:00.000Z"}}
    assert handle("::topic", {"Records": [record]}) == "hi 2026"
    assert handle("::schedule", {"time": "2026-01-31T12:00:00Z", "detail-type": "Scheduled Event"}) == "12 Scheduled Event"
    change = {"NewImage": {"k": {"N": "5"}}, "Keys": {"id": {"S": "x"}}}
    assert handle("::table", {"Records": [{"eventName": "INSERT", "dynamodb": change}]}) == "5 x"
    event = {"version": "2.0", "rawPath": "/p", "requestContext": {"http": {"method": "PUT"}}}
    answer = handle("::url", event)
    assert (answer["statusCode"], answer["headers"], answer["body"]) == (201, {"x": "PUT"}, "/p")


# The context


def test_context(call):
    client = {"client": {"app_title": "shop"}, "custom": {"k": "v", "n": 1}, "env": {"locale": "de"}}
    seen = call(f"{CLASS}::context", {}, client_context=json.dumps(client).encode()).json
    assert seen["name"] == "java" and seen["version"] == "$LATEST" and seen["memory"] == 512
    assert seen["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:java"
    # A stream is a process's, which may be there before its event.
    assert seen["group"] == "/aws/lambda/java" and re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["stream"])
    assert 0 < seen["left"] <= 30_000 and seen["identity"] == "nobody"
    assert seen["title"] == "shop" and seen["custom"] == {"k": "v", "n": "1"}
    assert seen["environment"] == {"locale": "de"}
    assert seen["trace"].startswith("Root=1-") and seen["property"] == seen["trace"]


# The log


def printed(answer):
    """The lines of a log between the platform's own."""
    lines = answer.log.splitlines()
    return [line for line in lines if not re.match("START |END |REPORT ", line)]


def test_log(call):
    assert printed(call(f"{CLASS}::log", {})) == [
        "plain", "of two lines", "[DEBUG] for details", "[ERROR] for alarms", "bytes", "the same", "raw é", "raw too",
    ]


def test_log_as_json(call):
    def said(level):
        answer = call(f"{CLASS}::log", {}, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": level})
        records = [json.loads(line) for line in answer.log.splitlines() if '"message"' in line]
        return [(record["level"], record["message"]) for record in records if "AWSRequestId" in record]

    plain = [("UNDEFINED", "plain\nof two lines\n"), ("ERROR", "for alarms"), ("UNDEFINED", "the same")]
    assert said("INFO") == plain
    # What says no level that is known counts as INFO.
    assert said("WARN") == [("ERROR", "for alarms")]


def test_log4j_learns_the_id_of_the_event(call):
    assert call(f"{CLASS}$Log4j", {}).json is True


# Errors


def test_an_exception_is_told_with_its_cause(call):
    answer = call(f"{CLASS}::refuse", {})
    error = answer.json
    assert answer.error == "Unhandled"
    assert (error["errorMessage"], error["errorType"]) == ("outer\nline", "example.Functions$Refused")
    assert error["stackTrace"][0].startswith("example.Functions.refuse(Functions.java:")
    assert not any("mayfly" in frame for frame in error["stackTrace"])
    cause = error["cause"]
    assert (cause["errorMessage"], cause["errorType"]) == ("inner", "java.lang.IllegalArgumentException")
    assert "example.Functions$Refused: outer\nline\n\tat example.Functions.refuse" in answer.log
    assert "Caused by: java.lang.IllegalArgumentException: inner" in answer.log


def test_errors_of_handlers(call):
    error = call(f"{CLASS}$Refuses", {}).json
    assert error["errorMessage"] == error["errorType"] == "java.lang.NullPointerException"
    error = call(f"{CLASS}::deep", {}).json
    assert error["errorType"] == "java.lang.StackOverflowError" and len(error["stackTrace"]) > 100
    assert call(f"{CLASS}::cruel").json["errorType"] == "example.Functions$Cruel"
    error = call(f"{CLASS}::longest", 2_000_000).json
    assert error["errorType"] == "java.lang.RuntimeException" and error["errorMessage"].startswith("xxx")


def test_errors_of_data(call):
    for handler, raw in (("$Objects", b"[[1]]"), ("::sum", b'{"a": 1}'), ("::map", b'["a"]'), ("::truth", b"{}")):
        error = call(CLASS + handler, raw=raw).json
        assert error["errorMessage"] == "An error occurred during JSON parsing", (handler, error)
        assert (error["errorType"], error["stackTrace"]) == ("java.lang.RuntimeException", [])
        assert error["cause"]["errorType"] == "java.io.UncheckedIOException"
    error = call(f"{CLASS}::unwritable", {}).json
    assert error["errorMessage"] == "An error occurred during JSON serialization of response"
    assert "broken" in error["cause"]["errorMessage"]


@pytest.mark.parametrize(
    "handler, message, kind",
    [
        ("example.Nowhere", "Class not found: example.Nowhere", "java.lang.ClassNotFoundException"),
        (f"{CLASS}::nowhere", f"No public method named nowhere with appropriate method signature found on class {CLASS}",
         "Runtime.HandlerNotFound"),
        (CLASS, f"Class does not implement an appropriate handler interface: {CLASS}", "Runtime.HandlerNotFound"),
        ("::same", "Invalid handler: `::same'", "Runtime.MalformedHandlerName"),
        (f"{CLASS}$Unloadable::handle", f"Error loading class {CLASS}$Unloadable",
         "java.lang.ExceptionInInitializerError"),
        (f"{CLASS}$Unmakeable::handle", "not today", "java.lang.IllegalStateException"),
        (f"{CLASS}$Inner::handle",
         f"Class {CLASS}$Inner cannot be instantiated because it is a non-static inner class", "java.lang.Exception"),
        (f"{CLASS}$Raw", f"Class {CLASS}$Raw has no public zero-argument constructor", "java.lang.Exception"),
        (f"{CLASS}$First", f"Class {CLASS}$First does not implement RequestHandler with concrete type parameters: "
         "parameter T has no upper bound.", "Runtime.HandlerNotFound"),
    ],
)
def test_errors_of_loading(call, handler, message, kind):
    answer = call(handler, {})
    assert (answer.error, answer.json) == ("Unhandled", {"errorMessage": message, "errorType": kind})
    assert message in answer.log


def test_the_end_of_the_process(call):
    answer = call(f"{CLASS}::exit", 3)
    assert answer.json["errorType"] == "Runtime.ExitError" and "exit status 3" in answer.json["errorMessage"]
    assert "going" in answer.log


def test_memory_that_runs_out_is_an_error_of_java(call):
    answer = call(f"{CLASS}::hoard", {}, MemorySize=128)
    error = answer.json
    assert (error["errorMessage"], error["errorType"]) == ("Java heap space", "java.lang.OutOfMemoryError"), answer.log


def test_threads_that_end_badly_or_never(call):
    answer = call(f"{CLASS}::elsewhere", {})
    assert (answer.error, answer.json) == (None, "answered")
    assert "java.lang.IllegalStateException: in a thread" in answer.log


# The surroundings


def test_surroundings(call):
    files = {"words.txt": "words", "names/é": "read"}
    seen = call(f"{CLASS}::surroundings", {}, files=files, MemorySize=256).json
    assert seen["loader"] and seen["core"] and seen["resource"] == "words"
    assert (seen["files"], seen["read"]) == (["é"], "read")
    assert (seen["zone"], seen["language"], seen["directory"]) == (0, "en", "/var/task")
    assert 150 < seen["heap"] < 256 and seen["tmp"].startswith("/tmp/") and "hidden" not in seen


def test_jars_in_lib(call, classes, tmp_path):
    for name, content in (classes | {"words.txt": b"of the jar"}).items():
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    jar = tmp_path / "handlers.jar"
    subprocess.run(["jar", "cf", jar, "-C", tmp_path / "in", "."], check=True, timeout=60)
    # A class that is no class, at the place of one of AWS's interfaces, is not looked at.
    own = {"com/amazonaws/services/lambda/runtime/Context.class": b"no class"}
    nothing = {name: None for name in classes}
    files = {"lib/handlers.jar": jar.read_bytes(), "names/é": "read", **own, **nothing}
    seen = call(f"{CLASS}::surroundings", {}, files=files).json
    assert seen["resource"] == "of the jar" and seen["loader"] and seen["core"]


def test_a_library_in_a_layer(call, server, tmp_path):
    def compile(path, target, name, source):
        (tmp_path / f"{name}.java").write_text(source)
        subprocess.run(
            ["javac", "--release", "11", "-cp", path, "-d", str(target), str(tmp_path / f"{name}.java")], check=True, timeout=60)

    library = tmp_path / "library"
    compile(str(JAR), library, "Greeter", """
        package shared;
        public final class Greeter {
            public static String greet(String name) { return "Hello, " + name + ", from a layer!"; }
        }
    """)
    subprocess.run(["jar", "cf", tmp_path / "greeter.jar", "-C", library, "."], check=True, timeout=60)
    own = tmp_path / "own"
    compile(f"{JAR}:{library}", own, "Handler", """
        import com.amazonaws.services.lambda.runtime.Context;
        import com.amazonaws.services.lambda.runtime.RequestHandler;
        import java.util.Map;
        public class Handler implements RequestHandler<Map<String, String>, String> {
            public String handleRequest(Map<String, String> event, Context context) {
                return shared.Greeter.greet(event.get("name"));
            }
        }
    """)
    layer = zip_of({"java/lib/greeter.jar": (tmp_path / "greeter.jar").read_bytes()})
    arn = server.client("lambda").publish_layer_version(LayerName="java-library", Content={"ZipFile": layer})
    files = {"Handler.class": (own / "Handler.class").read_bytes()}
    answer = call("Handler", {"name": "Ada"}, files=files, Layers=[arn["LayerVersionArn"]])
    assert answer.json == "Hello, Ada, from a layer!"


def test_options_of_the_functions_own(call):
    assert call(f"{CLASS}::collectors", {}).json == ["Copy", "MarkSweepCompact"]
    options = {"Variables": {"JAVA_TOOL_OPTIONS": "-XX:+UseParallelGC -Xmx100m"}}
    answer = call(f"{CLASS}::collectors", {}, Environment=options)
    assert sorted(answer.json) == ["PS MarkSweep", "PS Scavenge"], answer.log
    assert "Picked up JAVA_TOOL_OPTIONS" in answer.log


def test_a_wrapper_starts_the_runtime(call):
    # One file of these packages may be run.
    environment = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}}
    wrapper = '#!/bin/sh\nexport JAVA_TOOL_OPTIONS="-Dwrapped=yes"\nexec "$@"\n'
    answer = call(f"{CLASS}::collectors", {}, files={"bootstrap": wrapper}, Environment=environment)
    assert "Picked up JAVA_TOOL_OPTIONS: -Dwrapped=yes" in answer.log


def test_threads_children_and_connections(call):
    assert call(f"{CLASS}::threads", {}, MemorySize=128).json == 50
    child = call(f"{CLASS}::child", {}).json
    # The event channel, which is a socket, is not among the descriptors that a child has.
    assert child.startswith("0 ") and "pipe:" in child and "socket:" not in child
    assert call(f"{CLASS}::http", "/health").json.startswith("200 ")
    assert call(f"{CLASS}::authorities", {}).json > 10
