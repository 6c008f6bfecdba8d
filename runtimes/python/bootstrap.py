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


def dumps(value):
    """The same as `json.dumps(value, ensure_ascii=False)`."""

    def refuse(thing):
        raise TypeError(f"Object of type {thing.__class__.__name__} is not JSON serializable")

    try:
        from _json import encode_basestring, make_encoder

        encode = make_encoder({}, refuse, encode_basestring, None, ": ", ", ", False, False, True)
    except Exception:
        import json

        return json.dumps(value, ensure_ascii=False)
    return "".join(encode(value, 0))


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
        stack = traceback.format_list(own_frames(traceback.extract_tb(error.__traceback__)))
    try:
        message = str(error)
    except Exception:
        message = "the exception cannot be printed"
    return {"errorMessage": message, "errorType": kind, "requestId": REQUEST_ID, "stackTrace": stack}


def report(kind, error):
    """Logs an error and sends its document. Carriage returns keep the lines of one record together."""
    document = describe(error)
    lines = [f"[ERROR] {document['errorType']}: {document['errorMessage']}", "Traceback (most recent call last):"]
    lines += [line for entry in document["stackTrace"] for line in entry.splitlines()]
    try:
        sys.stdout.write("\r".join(lines).replace("\n", "\r") + "\n")
    except Exception:
        pass
    send(kind, dumps(document).encode("utf-8", "replace"))
    wait_for_the_end()


# Logging


def set_up_logging(logging):
    """Gives the root logger Lambda's handler and format."""

    class Records(logging.Handler):
        def emit(self, record):
            sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")

    class WithRequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = REQUEST_ID
            return True

    handler = Records()
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(WithRequestId())
    logging.root.addHandler(handler)


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
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"


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

    def variable(name):
        return posix.environ.get(name.encode(), b"").decode()

    made = LambdaContext(
        aws_request_id=header["request_id"],
        function_name=variable("AWS_LAMBDA_FUNCTION_NAME"),
        function_version=variable("AWS_LAMBDA_FUNCTION_VERSION"),
        invoked_function_arn=header["function_arn"],
        memory_limit_in_mb=variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        log_group_name=variable("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream_name=variable("AWS_LAMBDA_LOG_STREAM_NAME"),
        identity=CognitoIdentity(cognito_identity_id=None, cognito_identity_pool_id=None),
        client_context=client_context(header["client_context"]),
        tenant_id=None,
    )
    made._deadline_ms = header["deadline_ms"]
    return made


def prepare():
    """Makes the process what a function expects, beyond what the sandbox is."""
    posix.set_inheritable(CHANNEL, False)
    sys.stdout.reconfigure(line_buffering=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    layers = [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
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
    try:
        try:
            event = loads(body[split:].decode())
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
        del body
        answer = handler(event, context(header))
        try:
            answer = dumps(answer).encode()
        except Exception as error:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
    except Exception as error:
        report(b"E", error)
    send(b"A", answer)
    wait_for_the_end()


if __name__ == "__main__":
    main()
