"""Loads a function, hands it one event, sends its answer back.

Runs on Python 3.9 and later inside a sandbox. It imports next to nothing: every module that it loads, every start
pays for. `json` alone takes as long as the bare interpreter, so the C functions below it are used directly, and
`logging` is set up at the moment when the function imports it.

The event channel is descriptor 3. A frame is one byte for its kind, four for its length (big-endian), and its body:
    R  ready for the event                  A  answer, JSON
    I  loading failed, error document       E  the handler raised, error document
    V  the event: length of the header (four bytes), header (JSON), event (JSON); the one frame that comes in
"""

import posix
import sys
import time

CHANNEL = 3
TASK = "/var/task"
REQUEST_ID = ""


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


def receive(length):
    """Reads exactly so many bytes; the platform closes the channel only when it ends this process."""
    chunks = []
    while length:
        chunk = posix.read(CHANNEL, length)
        if not chunk:
            posix._exit(0)
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def wait_for_the_end():
    """Waits to be killed. Threads of the function go on until then."""
    while posix.read(CHANNEL, 4096):
        pass
    posix._exit(0)


# JSON


class Scanning:
    """What the C scanner of `json` asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo = {}


def loads(text):
    """The same as `json.loads`."""
    try:
        from _json import make_scanner

        bare = text.strip(" \t\n\r")
        value, end = make_scanner(Scanning)(bare, 0)
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


def dumps(value, other=None):
    """JSON as Lambda's runtime for Python writes it: like `json.dumps`, but numbers of `decimal` are numbers, and bytes
    are text. What has no JSON becomes what `other` makes of it, or is refused."""
    from _json import encode_basestring, encode_basestring_ascii, make_encoder

    # Up to Python 3.11, Lambda's answers are ASCII; it is the version that the function asks for that counts.
    minor = variable("AWS_EXECUTION_ENV").rpartition("python3.")[2]
    quote = encode_basestring_ascii if minor.isdecimal() and int(minor) < 12 else encode_basestring
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
        return str.__str__(text) if type(text) is Raw else quote(text)

    def encode(quote):
        return "".join(make_encoder({}, convert, quote, None, ": ", ", ", False, False, True)(value, 0))

    try:
        return encode(quote)
    except HasDecimals:
        return encode(quote_or_pass)


# Errors


def own_frames(frames):
    """The frames that are the function's: those of this file and of the import machinery are left out."""
    ours = (__file__, "/var/runtime/bootstrap.py", "<frozen importlib")
    return [frame for frame in frames if not frame.filename.startswith(ours)]


def describe(error):
    """The error document of an exception."""
    if isinstance(error, Fault):
        kind, stack = error.kind, error.stack
    else:
        import traceback

        kind = type(error).__name__
        frames = own_frames(traceback.extract_tb(error.__traceback__))
        # As tuples, frames do not mark the place within their line: neither do Lambda's.
        stack = traceback.format_list([(frame.filename, frame.lineno, frame.name, frame.line) for frame in frames])
    try:
        message = str(error)
    except Exception:
        message = "the exception cannot be printed"
    return {"errorMessage": message, "errorType": kind, "requestId": REQUEST_ID, "stackTrace": stack}


def report(kind, error):
    """Logs an error and sends its document. Carriage returns keep the lines of one record together."""
    document = describe(error)
    try:
        if logs_json():
            record = dumps({"timestamp": timestamp(time.time()), "level": "ERROR", **document})
        else:
            lines = [
                f"[ERROR] {document['errorType']}: {document['errorMessage']}",
                "Traceback (most recent call last):",
            ]
            lines += [line for entry in document["stackTrace"] for line in entry.splitlines()]
            record = "\r".join(lines).replace("\n", "\r")
        sys.stdout.write(record + "\n")
    except Exception:
        pass
    send(kind, dumps(document).encode("utf-8", "replace"))
    wait_for_the_end()


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


def context(header):
    """The context object of an event."""
    made = LambdaContext(
        aws_request_id=header["request_id"],
        log_group_name=variable("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream_name=variable("AWS_LAMBDA_LOG_STREAM_NAME"),
        function_name=variable("AWS_LAMBDA_FUNCTION_NAME"),
        memory_limit_in_mb=variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        function_version=variable("AWS_LAMBDA_FUNCTION_VERSION"),
        invoked_function_arn=header["function_arn"],
        client_context=client_context(header["client_context"]),
        identity=CognitoIdentity(cognito_identity_id=None, cognito_identity_pool_id=None),
        tenant_id=None,
    )
    made._deadline_ms = header["deadline_ms"]
    return made


def set_variable(name, value):
    """Sets an environment variable for this process, its children, and for whoever has loaded `os` or will."""
    posix.environ[name.encode()] = value.encode()
    posix.putenv(name, value)
    if "os" in sys.modules:
        sys.modules["os"].environ[name] = value


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
    import builtins

    builtins.exit = builtins.quit = sys.exit  # the `site` module, which is not loaded, would define them


def main():
    """The life of this process."""
    global REQUEST_ID
    prepare()
    REQUEST_ID = posix.environ.pop(b"_MAYFLY_REQUEST_ID", b"").decode()
    try:
        handler = load(posix.environ.get(b"_HANDLER", b"").decode("utf-8", "replace"))
    except Exception as error:
        report(b"I", error)
    send(b"R")

    frame = receive(5)
    body = receive(int.from_bytes(frame[1:], "big"))
    split = 4 + int.from_bytes(body[:4], "big")
    header = loads(body[4:split].decode())
    if header.get("trace_id"):
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
            answer = answer if isinstance(answer, bytes) else dumps(answer).encode()
        except Exception as error:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
    except Exception as error:
        report(b"E", error)
    send(b"A", answer)
    wait_for_the_end()


if __name__ == "__main__":
    main()
