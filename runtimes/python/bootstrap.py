"""Loads a function, hands it its events one after another, sends its answers back.

Runs on Python 3.9 and later inside a sandbox. It imports next to nothing: every module that it loads, every start
pays for. `json` alone takes as long as the bare interpreter, so the C functions below it are used directly, and
`logging` is set up at the moment when the function imports it.

The event channel is descriptor 3. A frame is one byte for its kind, four for its length (big-endian), and its body:
    R  ready for an event                         A  answer, JSON
    I  loading or a hook failed, error document   E  the handler raised, error document
    S  ready to be copied
and those that come in:
    V  an event: length of the header (four bytes), header (JSON), event (JSON)
    S  this process is about to be copied: answered by S
    C  this process is a copy: JSON with `environment`, variables to set; answered by R
"""

import posix
import sys
import time
from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

CHANNEL = 3
CHUNK = 64 * 1024
TASK = "/var/task"
REQUEST_ID = ""  # of the event that is being handled
AHEAD = b""  # what has come of frames that nobody has asked for yet


def variable(name):
    """An environment variable; empty if it is not set. `os` is not loaded."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "replace")


class Fault(Exception):
    """An error of loading or of data, in Lambda's words, with no code of the function to blame."""

    def __init__(self, kind, message, stack=()):
        super().__init__(message)
        self.kind = kind
        self.stack = list(stack)


# The channel


def send(kind, body=b""):
    """Sends one frame, after everything that was printed before it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the function may have closed or replaced it
            pass
    rest = memoryview(kind + len(body).to_bytes(4, "big") + body)
    while rest:
        rest = rest[posix.write(CHANNEL, rest) :]


def read(most=CHUNK):
    """Bytes of the channel; the platform closes it only when it ends this process."""
    found = posix.read(CHANNEL, most)
    if not found:
        posix._exit(0)
    return found


def receive():
    """The next frame: a list of its kind and its body. One read, unless it is long."""
    global AHEAD
    frame = AHEAD or read()
    while len(frame) < 5:
        frame += read()
    end = 5 + int.from_bytes(frame[1:5], "big")
    if len(frame) < end:
        chunks, missing = [frame], end - len(frame)
        while missing:
            chunks.append(read(missing))
            missing -= len(chunks[-1])
        frame = b"".join(chunks)
    AHEAD = frame[end:]
    return [frame[:1], frame[5:end]]


def wait_for_the_end():
    """Waits to be killed. Threads of the function go on until then."""
    while True:
        read()


# JSON


class Scanning:
    """What the C scanner of `json` asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo = {}


SCAN = make_scanner(Scanning)


def loads(text):
    """The same as `json.loads`."""
    try:
        bare = text.strip(" \t\n\r")
        value, end = SCAN(bare, 0)
        if end == len(bare):
            return value
    except Exception:
        pass
    import json  # for what the C scanner alone cannot say: where the error is

    return json.loads(text)


class Raw(str):
    """Text that is JSON already."""


class HasDecimals(Exception):
    """A value holds numbers of `decimal`, which the fast way cannot write."""


def writes_ascii():
    """Up to Python 3.11, Lambda's answers are ASCII; it is the version that the function asks for that counts."""
    minor = variable("AWS_EXECUTION_ENV").rpartition("python3.")[2]
    return minor.isdecimal() and int(minor) < 12


QUOTE = encode_basestring_ascii if writes_ascii() else encode_basestring


def dumps(value, other=None):
    """JSON as Lambda's runtime for Python writes it: like `json.dumps`, but numbers of `decimal` are numbers, and bytes
    are text. What has no JSON becomes what `other` makes of it, or is refused."""
    decimals = []

    def convert(thing):
        if isinstance(thing, bytes):
            return thing.decode()
        decimal = sys.modules.get("decimal")
        if decimal and isinstance(thing, decimal.Decimal):
            if not decimals:
                decimals.append(True)
                raise HasDecimals
            return float("nan") if thing.is_nan() else Raw(thing)
        if other:
            return other(thing)
        raise TypeError(f"Object of type {thing.__class__.__name__} is not JSON serializable")

    def quote_or_pass(text):
        return str.__str__(text) if type(text) is Raw else QUOTE(text)

    def encode(quote):
        return "".join(make_encoder({}, convert, quote, None, ": ", ", ", False, False, True)(value, 0))

    try:
        return encode(QUOTE)
    except HasDecimals:
        return encode(quote_or_pass)


# Errors


def stack_of(error):
    """Where an exception came from, as `traceback` writes it, which takes longer to load than most handlers to run.
    Frames of this file and of the import machinery are left out."""
    ours = (__file__, "/var/runtime/bootstrap.py", "<frozen importlib")
    trace, frames, sources = error.__traceback__, [], {}
    while trace:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(ours):
            frames.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    entries, times = [], 0
    for frame, following in zip(frames, frames[1:] + [None]):
        times += 1
        if times <= 3:
            file, line, name = frame
            text = source_line(file, line, sources)
            entries.append(f'  File "{file}", line {line}, in {name}\n' + (f"    {text}\n" if text else ""))
        if frame != following:
            if times > 3:
                entries.append(f"  [Previous line repeated {times - 3} more time{'s' if times > 4 else ''}]\n")
            times = 0
    return entries


def source_line(file, line, sources):
    """A line of a source file, without its margins; empty if it cannot be read."""
    if file not in sources:
        try:
            with open(file, encoding="utf-8", errors="replace") as source:
                sources[file] = source.readlines()
        except (OSError, ValueError):
            sources[file] = []
    lines = sources[file]
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def describe(error, request_id=None):
    """The error document of an exception, which is of the event that is being handled unless another id is given."""
    if isinstance(error, Fault):
        kind, stack = error.kind, error.stack
    else:
        kind, stack = type(error).__name__, stack_of(error)
    try:
        message = str(error)
    except Exception:
        message = "the exception cannot be printed"
    request_id = REQUEST_ID if request_id is None else request_id
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}


def error_record(document):
    """What the log says of an error. Carriage returns keep the lines of one record together; they begin with spaces
    that nothing takes away."""
    if logs_json():
        return dumps({"timestamp": timestamp(time.time()), "level": "ERROR", **document})
    lines = [
        f"[ERROR] {document['errorType']}: {document['errorMessage']}",
        "Traceback (most recent call last):",
    ]
    for entry in document["stackTrace"]:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    return "\r".join(lines).replace("\n", "\r")


def refusal(error, request_id=None):
    """Logs an error: its document, as a body."""
    document = describe(error, request_id)
    try:
        sys.stdout.write(error_record(document) + "\n")
    except Exception:
        pass
    return dumps(document).encode("utf-8", "replace")


# Logging


def logs_json():
    """Whether the function's log has JSON records."""
    return variable("AWS_LAMBDA_LOG_FORMAT").upper() == "JSON"


def timestamp(seconds):
    """A time in UTC with milliseconds."""
    whole, millis = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{millis:03d}Z"


def set_up_logging(logging):
    """Gives the root logger Lambda's handler, format and level."""

    class Records(logging.Handler):
        def emit(self, record):
            sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")

    class WithRequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = REQUEST_ID
            return True

    handler = Records()
    if logs_json():
        formatter = json_formatter(logging)
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(WithRequestId())
    level = variable("AWS_LAMBDA_LOG_LEVEL").upper()
    level = getattr(logging, {"TRACE": "DEBUG"}.get(level, level), None) if level else None
    if isinstance(level, int):
        logging.root.setLevel(level)
        handler.setLevel(level)  # also for loggers with a level of their own
    logging.root.addHandler(handler)


def json_formatter(logging):
    """Writes records as Lambda's JSON: its own names, those of an exception, and what the caller gave as `extra`."""
    own = {*logging.makeLogRecord({}).__dict__, "aws_request_id", "message", "asctime"}

    class Formatter(logging.Formatter):
        def format(self, record):
            tens = min(max(record.levelno, 0), 50) // 10 * 10
            fields = {
                "timestamp": timestamp(record.created),
                "level": logging.getLevelName(tens),
                "message": record.getMessage(),
                "logger": record.name,
            }
            kind, error, trace = record.exc_info or (None, None, None)
            if kind:
                import traceback

                fields["stackTrace"] = traceback.format_tb(trace)
                fields["errorType"] = kind.__name__
                fields["errorMessage"] = str(error)
                fields["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
            fields["requestId"] = getattr(record, "aws_request_id", REQUEST_ID)
            for name, value in record.__dict__.items():
                if name not in own and value is not None:
                    fields.setdefault(name, value)
            return dumps(fields, str)

    return Formatter()


class LoggingFinder:
    """Sets `logging` up when it is imported, so that functions that do not use it do not wait for it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(LoggingFinder)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def execute_and_set_up(module):
            execute(module)
            set_up_logging(module)

        spec.loader.exec_module = execute_and_set_up
        return spec


# The function


def load(name):
    """The handler called `name`: `module.function`, where the module may lie in packages or directories."""
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {error}") from None
    dotted = module_name.replace("/", ".")
    if dotted.split(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        __import__(dotted)
        module = sys.modules[dotted]
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        place = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, [place]) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from None


class Record:
    """An object whose attributes are given by name."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __repr__(self):
        shown = (f"{name}={value}" for name, value in self.__dict__.items() if not name.startswith("_"))
        return f"{type(self).__name__}([{','.join(shown)}])"


class Client(Record):
    """The application that called, as it says itself."""


class ClientContext(Record):
    """What the caller sent as client context."""


class CognitoIdentity(Record):
    """The identity that called; nobody, until identities exist."""


class LambdaContext(Record):
    """What a handler learns of its invocation."""

    def get_remaining_time_in_millis(self):
        """How long this event may still take, in milliseconds."""
        return max(0, int(self._deadline_ms - time.time() * 1000))

    def log(self, message):
        """Prints without a newline of its own."""
        sys.stdout.write(str(message))


def client_context(text):
    """The caller's client context as an object; none if it sent none."""
    if not text:
        return None
    sent = loads(text)
    if not isinstance(sent, dict):
        return None
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    client = sent.get("client")
    if isinstance(client, dict):
        client = Client(**{name: client.get(name) for name in names})
    return ClientContext(custom=sent.get("custom"), env=sent.get("env"), client=client)


FUNCTION = {}


def describe_function():
    """What is the same for every event that this process handles."""
    FUNCTION.update(
        log_group_name=variable("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream_name=variable("AWS_LAMBDA_LOG_STREAM_NAME"),
        function_name=variable("AWS_LAMBDA_FUNCTION_NAME"),
        memory_limit_in_mb=variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        function_version=variable("AWS_LAMBDA_FUNCTION_VERSION"),
    )


def context(header):
    """The context object of an event."""
    return LambdaContext(
        aws_request_id=header["request_id"],
        **FUNCTION,
        invoked_function_arn=header["function_arn"],
        client_context=client_context(header["client_context"]),
        identity=CognitoIdentity(cognito_identity_id=None, cognito_identity_pool_id=None),
        tenant_id=None,
        _deadline_ms=header["deadline_ms"],
    )


def set_variable(name, value):
    """Sets an environment variable for this process and its children. `os.environ` has the same dictionary."""
    posix.environ[name.encode()] = value.encode()
    posix.putenv(name, value)


def handle(handler, frame):
    """Handles the event of a frame, which is taken out of it: the kind and the body of the answer."""
    global REQUEST_ID
    body = frame.pop()
    split = 4 + int.from_bytes(body[:4], "big")
    header = loads(body[4:split].decode())
    REQUEST_ID = header["request_id"]
    set_variable("_X_AMZN_TRACE_ID", header["trace_id"])
    try:
        try:
            event = loads(body[split:].decode())
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
        del body
        answer = handler(event, context(header))
        try:
            # Bytes are passed on as they are.
            return b"A", answer if isinstance(answer, bytes) else dumps(answer).encode()
        except Exception as error:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
    except Exception as error:
        return b"E", refusal(error)


# Copies


class SnapshotHooks:
    """Brings `snapshot_restore_py`, as Lambda's runtime does, to functions whose package does not.

    Source: <https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html>
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        return type(sys.__spec__)(name, SnapshotHooks) if name == "snapshot_restore_py" else None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        def registry(name):
            registered = []

            def register(func, *args, **kwargs):
                registered.append((func, args, kwargs))
                return func

            def get():
                return registered

            for prefix, function in (("register", register), ("get", get)):
                function.__name__ = function.__qualname__ = f"{prefix}_{name}"
                function.__module__ = module.__name__
                setattr(module, function.__name__, function)

        registry("before_snapshot")
        registry("after_restore")


def hooks(name):
    """The hooks that the function has registered: functions, their arguments, and those with names."""
    module = sys.modules.get("snapshot_restore_py")
    return getattr(module, f"get_{name}")() if module else []


RESEEDERS = []  # what gives each generator of random numbers a new state


def find_generators():
    """Finds every generator of random numbers that is not the system's, wherever the function keeps it."""
    import gc

    def find(kind):
        # The type, not `__class__`: a proxy would run code of the function.
        return [thing for thing in objects if issubclass(type(thing), kind)]

    RESEEDERS.clear()
    python, numpy = sys.modules.get("random"), sys.modules.get("numpy.random")
    objects = gc.get_objects() if python or numpy else []
    if python:
        found = [thing for thing in find(python.Random) if not isinstance(thing, python.SystemRandom)]
        RESEEDERS.extend(partial(python.Random.seed, generator) for generator in found)
    if numpy:
        legacy = [state for state in find(numpy.RandomState) if type(state._bit_generator) is numpy.MT19937]
        done = {id(state._bit_generator) for state in legacy}
        RESEEDERS.extend(state.seed for state in legacy)
        RESEEDERS.extend(partial(renew, bits) for bits in find(numpy.BitGenerator) if id(bits) not in done)
        RESEEDERS.extend(partial(forget, state) for state in find(numpy.RandomState) if state not in legacy)


def partial(function, argument):
    """A function without its argument; `functools` is not loaded."""
    return lambda: function(argument)


def renew(bits):
    """Gives a bit generator of numpy the state of a new one."""
    bits.state = type(bits)().state


def forget(state):
    """Lets a generator of numpy forget the second number of a pair that it has drawn."""
    kept = state.get_state(legacy=False)
    state.set_state({**kept, "has_gauss": 0})


def reseed():
    """Gives every generator a state that no other copy has. `os.urandom` has none, and OpenSSL draws from the system
    again when it sees that the process has another id."""
    for reseeder in RESEEDERS:
        reseeder()
    uuid = sys.modules.get("uuid")
    if uuid:
        # The library below `uuid1` keeps a sequence that nothing resets: do without it.
        uuid._generate_time_safe = uuid._UuidCreate = uuid._last_timestamp = None
        uuid._node = int.from_bytes(posix.urandom(6), "big") | 1 << 40


HELD = []  # lets each event loop go on that a thread runs


def hold_loops():
    """Holds every event loop that a thread runs: a loop that runs takes itself for another one's as soon as the
    process has another id (asyncio notes it, up to Python 3.13)."""
    asyncio = sys.modules.get("asyncio")
    if not asyncio:
        return
    import gc
    import threading

    def hold(loop, asked, held, release, turns):
        asked.wait()
        if turns:  # what woke it is read first, not to lie there
            loop.call_soon(hold, loop, asked, held, release, turns - 1)
            return
        held.set()
        release.wait()
        asyncio._set_running_loop(loop)

    loops = [thing for thing in gc.get_objects() if issubclass(type(thing), asyncio.AbstractEventLoop)]
    for loop in loops:
        if loop.is_running():
            asked, held, release = (threading.Event() for _ in range(3))
            loop.call_soon_threadsafe(hold, loop, asked, held, release, 2)
            asked.set()
            if not held.wait(5):
                raise Fault("Runtime.BusyLoop", "an event loop that a thread runs is busy")
            HELD.append(release)


def release_loops():
    """Lets them go on."""
    while HELD:
        HELD.pop().set()


def rehearse():
    """Runs what every event runs: the interpreter rewrites code while it is new, in memory that copies share."""
    global REQUEST_ID

    def raises(event, context):
        raise Fault("Rehearsal", event)

    header = b'{"request_id":"","deadline_ms":0,"client_context":null,"function_arn":"","trace_id":""}'
    body = len(header).to_bytes(4, "big") + header + b'{"key":["value",1,2.5,null,true]}'
    for _ in range(20):
        handle(lambda event, context: [event, context.get_remaining_time_in_millis()], [body])
        try:
            raises("", None)
        except Fault as error:
            dumps(describe(error))
            error_record(describe(error))
    REQUEST_ID = ""
    del posix.environ[b"_X_AMZN_TRACE_ID"]
    posix.unsetenv("_X_AMZN_TRACE_ID")


def get_ready_to_be_copied():
    """Comes before copies are made, however many."""
    import gc

    registered = hooks("before_snapshot")
    while registered:
        func, args, kwargs = registered.pop()
        func(*args, **kwargs)
    hold_loops()
    rehearse()
    gc.unfreeze()
    gc.collect()
    find_generators()
    reseed()  # what cannot be reseeded must not be copied
    gc.freeze()  # a collection in a copy leaves alone what is shared


def become_a_copy(body):
    """Comes first in every copy."""
    for name, value in loads(body.decode())["environment"].items():
        set_variable(name, value)
    reseed()
    describe_function()
    release_loops()
    for func, args, kwargs in hooks("after_restore"):
        func(*args, **kwargs)


def attempt(step, kind):
    """Takes a step towards an event: tells that it is done, or why not, and then there will be no event."""
    try:
        step()
    except Exception as error:
        send(b"I", refusal(error, ""))
        wait_for_the_end()
    send(kind)


# The life of this process


def prepare():
    """Makes the process what a function expects, beyond what the sandbox is."""
    posix.set_inheritable(CHANNEL, False)
    sys.stdout.reconfigure(line_buffering=True)
    # Layers bring packages for the version that the function asks for, which need not be the one that runs.
    wanted = variable("AWS_EXECUTION_ENV").rpartition("_")[2]
    running = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    versions = [wanted, running] if wanted.startswith("python3.") and wanted != running else [running]
    layers = [f"/opt/python/lib/{version}/site-packages" for version in versions] + ["/opt/python"]
    present = []
    for directory in layers:
        try:
            posix.stat(directory)
            present.append(directory)
        except OSError:
            pass
    sys.path[:1] = [TASK] + present  # the first entry is the directory of this file
    sys.meta_path.insert(0, LoggingFinder)
    sys.meta_path.append(SnapshotHooks)
    import builtins

    builtins.exit = builtins.quit = sys.exit  # the `site` module, which is not loaded, would define them


def main():
    """The life of this process."""
    global REQUEST_ID
    handler = None

    def initialise():
        nonlocal handler
        handler = load(posix.environ.get(b"_HANDLER", b"").decode("utf-8", "replace"))

    prepare()
    describe_function()
    REQUEST_ID = posix.environ.pop(b"_MAYFLY_REQUEST_ID", b"").decode()
    attempt(initialise, b"R")
    while True:
        frame = receive()
        if frame[0] == b"V":
            send(*handle(handler, frame))
        elif frame[0] == b"S":
            attempt(get_ready_to_be_copied, b"S")
        else:
            attempt(lambda: become_a_copy(frame.pop()), b"R")


if __name__ == "__main__":
    main()
