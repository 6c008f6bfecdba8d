//! Every bound of the platform, by name.
//!
//! A bound that AWS documents has AWS's value; the page is
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html> unless another is named.

use std::time::Duration;

/// One MB as AWS counts it: 2^20 bytes.
pub const MB: usize = 1 << 20;

/// The largest event and the largest answer of a synchronous call, in bytes (6 MB).
pub const SYNC_PAYLOAD: usize = 6 * MB;

/// The largest answer of a synchronous call, in bytes, as Lambda's error message states it (6 MB and 100).
pub const SYNC_RESPONSE: usize = SYNC_PAYLOAD + 100;

/// The largest answer that is streamed, in bytes (200 MB).
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>
pub const STREAM_RESPONSE: u64 = 200 * MB as u64;

/// The largest piece of a streamed answer that a runtime sends at once, in bytes.
pub const STREAM_PIECE: usize = MB;

/// How many pieces of a streamed answer wait for its caller; then the function waits.
pub const STREAM_PIECES: usize = 4;

/// The longest status and headers that a streamed answer for HTTP begins with, in bytes.
pub const STREAM_PRELUDE: usize = 64 * 1024;

/// The largest event of an asynchronous call, in bytes (1 MB).
pub const ASYNC_PAYLOAD: usize = MB;

/// The largest zip file sent inside a request, in bytes (50 MB).
pub const ZIP_INLINE: usize = 50 * MB;

/// The largest request body outside S3, in bytes: a 50 MB zip in base64 and the rest of the JSON, as AWS has it.
pub const REQUEST_BODY: usize = 70_167_211;

/// Members of a form in the query protocol: more than any operation has.
pub const FORM_PAIRS: usize = 4_096;

/// How long the body of a request outside S3 may take to arrive.
pub const REQUEST_BODY_TIME: Duration = Duration::from_secs(300);

/// How many requests whose bodies may be larger than an event are served at one time.
pub const LARGE_BODIES: usize = 8;

/// How long a URL to a function's code holds.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html>
pub const CODE_URL: Duration = Duration::from_secs(10 * 60);

/// The largest package after unpacking, in bytes (250 MB).
pub const PACKAGE_UNPACKED: u64 = 250 * MB as u64;

/// The most files and directories in one package.
pub const PACKAGE_ENTRIES: usize = 100_000;

/// The longest path of a file in a package, in bytes.
pub const PACKAGE_PATH: usize = 1_024;

/// The deepest directory in a package.
pub const PACKAGE_DEPTH: usize = 64;

/// The size of all of a function's environment variables together, in bytes (4 KB).
pub const ENVIRONMENT: usize = 4 * 1024;

/// Memory of a function in MB: least, most and default.
pub const MEMORY_MB: (u32, u32, u32) = (128, 10_240, 128);

/// Time limit of a function in seconds: least, most and default.
pub const TIMEOUT_S: (u32, u32, u32) = (1, 900, 3);

/// `/tmp` of a function in MB: least, most and default.
pub const EPHEMERAL_STORAGE_MB: (u32, u32, u32) = (512, 10_240, 512);

/// How long initialisation may take before it runs on the function's own time limit.
pub const INIT: Duration = Duration::from_secs(10);

/// How long initialisation ahead of events may take at the least; a longer time limit of the function's counts instead.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
pub const INIT_AHEAD: Duration = Duration::from_secs(130);

/// How long a copy of an initialised process may take to be ready, the function's own hooks included; as with SnapStart.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html>
pub const RESTORE: Duration = Duration::from_secs(10);

/// How long an initialised process may take to become a template.
pub const CAPTURE: Duration = Duration::from_secs(30);

/// The most extensions of one function.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-extensions.html>
pub const EXTENSIONS: usize = 10;

/// How long a process with external extensions may take to shut down, and one with internal extensions only.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
pub const SHUTDOWN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(500));

/// The part of the time to shut down that is the runtime's, in per cent.
pub const SHUTDOWN_RUNTIME: u32 = 30;

/// Telemetry that waits for a subscriber, in bytes, on top of what it has asked to gather; more is dropped, and it is told.
pub const TELEMETRY_WAITING: usize = 4 * MB;

/// What is kept for subscribers to come of the telemetry of an initialisation, in records and in bytes.
pub const TELEMETRY_EARLY: (usize, usize) = (1_000, 256 * 1024);

/// How long a subscriber may take to accept a batch of telemetry, and how often it is tried.
pub const TELEMETRY_DELIVERY: (Duration, u32) = (Duration::from_secs(2), 4);

/// What is kept of what a process prints before its event, in bytes; the rest is dropped, and the log says so.
pub const LOG_AHEAD: usize = 256 * 1024;

/// The most processes of one function that may be asked for ahead of events.
pub const AHEAD: u32 = 1_000;

/// Processes and threads in one sandbox.
pub const PROCESSES: u64 = 1_024;

/// Open files in one process of a sandbox.
pub const OPEN_FILES: u64 = 1_024;

/// How many synchronous calls may wait for room; the next one is refused.
pub const SYNC_LANE: usize = 4_000;

/// The bytes of all synchronous calls' events that wait or run (512 MB); a call that does not fit is refused.
pub const SYNC_LANE_BYTES: usize = 512 * MB;

/// How many events run at the same time at the most, unless the configuration says otherwise.
pub const CONCURRENCY: usize = 1_000;

/// How much of the concurrency can be reserved for no function.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>
pub const CONCURRENCY_UNRESERVED: usize = 100;

/// How many durable events wait in memory between their queue and their process.
pub const EVENTS_CLAIMED: usize = 256;

/// How often a failed asynchronous event is tried again, unless its function's owner says otherwise.
pub const ASYNC_RETRIES: u32 = 2;

/// The shortest age at which an asynchronous event may be given up, in seconds.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>
pub const ASYNC_AGE_LEAST_S: u32 = 60;

/// How often an event of a function may lead to another one of the same function; the next one is stopped.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub const RECURSION: u32 = 16;

/// How old an asynchronous event may become before it is given up (6 hours), unless its function's owner says less.
pub const ASYNC_MAX_AGE: Duration = Duration::from_secs(6 * 60 * 60);

/// The longest log line, in bytes; a longer one is split (256 KB, the size of a CloudWatch Logs event).
pub const LOG_LINE: usize = 256 * 1024;

/// The log that one run of an event may write, in bytes; the rest is dropped, and the log says so.
pub const LOG_PER_EVENT: usize = 16 * MB;

/// The end of the log that `LogType=Tail` returns, in bytes (4 KB).
pub const LOG_TAIL: usize = 4 * 1024;

/// The largest object of one PUT, in bytes (5 GB).
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
pub const OBJECT: u64 = 5 * 1024 * MB as u64;

/// The longest a presigned URL may live (7 days).
pub const PRESIGNED_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Connections of clients open at one time at the most, where the program may open that many files. A long poll holds
/// one for as long as it waits.
pub const CONNECTIONS: usize = 16_384;

/// Connections of one function's process to the platform, open at one time at the most.
pub const CONNECTIONS_INSIDE: usize = 1_024;

/// How long a client may take to send the head of a request, once it has begun.
pub const REQUEST_HEAD: Duration = Duration::from_secs(30);

/// How long a connection is kept that nothing is asked on: as long as nginx keeps one.
/// Source: <https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout>
pub const IDLE_CONNECTION: Duration = Duration::from_secs(75);

// SQL databases behind the RDS Data API. AWS's values are those of
// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.limitations.html> and of the API's model.

/// How long one SQL call may take, its wait for other writers included.
pub const SQL_CALL: Duration = Duration::from_secs(45);

/// The longest SQL text, in bytes (64 KB).
pub const SQL_TEXT: usize = 64 * 1024;

/// The largest request to the RDS Data API, in bytes (4 MB).
pub const SQL_REQUEST: usize = 4 * MB;

/// The largest result of one SQL call, in bytes of its values (1 MB).
pub const SQL_RESULT: usize = MB;

/// The largest result formatted as JSON, in bytes (10 MB).
pub const SQL_FORMATTED: usize = 10 * MB;

/// The largest string, blob or row inside an SQL database, in bytes: twice what an answer can carry.
pub const SQL_VALUE: usize = 2 * MB;

/// The largest SQL database, in bytes (10 GB).
pub const SQL_DATABASE: u64 = 10 * 1024 * MB as u64;

/// The most SQL databases in one installation.
pub const SQL_DATABASES: usize = 10_000;

/// The most SQL calls that run at one time, and connections that serve them.
pub const SQL_CONNECTIONS: usize = 64;

/// The most connections to SQL databases that stay open between calls.
pub const SQL_CONNECTIONS_IDLE: usize = 32;

/// How long an unused connection to an SQL database stays open.
pub const SQL_CONNECTION_IDLE: Duration = Duration::from_secs(10);

/// The most SQL transactions open at one time.
pub const SQL_TRANSACTIONS: usize = 1_000;

/// How long an SQL transaction may rest between two calls before it is rolled back.
pub const SQL_TRANSACTION_IDLE: Duration = Duration::from_secs(3 * 60);

/// How long an SQL transaction may last before it is rolled back.
pub const SQL_TRANSACTION: Duration = Duration::from_secs(24 * 60 * 60);

// The network of functions that may reach the outside.

/// TCP connections of one sandbox to the outside at one time; the next one is refused.
pub const NETWORK_STREAMS: usize = 256;

/// UDP flows of one sandbox to the outside at one time; a new one ends the one that was idle for longest.
pub const NETWORK_FLOWS: usize = 128;

/// Questions to name servers of one sandbox at one time; the next one is dropped, and asked again by who asked.
pub const NETWORK_QUESTIONS: usize = 64;

/// TCP connections, UDP flows and questions of all sandboxes at one time, and never more than a quarter of the files
/// that the server may open; the next one is refused.
pub const NETWORK_TOTAL: usize = 4_096;

/// What waits in one TCP connection of a sandbox in each direction at the most, in bytes: the largest window that TCP
/// has without scaling, which smoltcp 0.14 miscounts.
pub const NETWORK_BUFFER: usize = 65_535;

/// How long a destination may take to accept a connection of a function.
pub const NETWORK_CONNECT: Duration = Duration::from_secs(30);

/// How long a TCP connection of a function may rest (350 s, as behind AWS's NAT gateway).
/// Source: <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html>
pub const NETWORK_STREAM_IDLE: Duration = Duration::from_secs(350);

/// How long a UDP flow of a function may rest.
pub const NETWORK_FLOW_IDLE: Duration = Duration::from_secs(60);

/// How long one name server may take to answer; then the next one is asked.
pub const NETWORK_QUESTION: Duration = Duration::from_secs(2);

/// The most name servers that are asked for functions, as resolv.conf(5) has it.
pub const NETWORK_RESOLVERS: usize = 3;

/// The most records of one batch of an event source mapping.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
pub const MAPPING_BATCH: u32 = 10_000;

// Message queues. AWS's values are those of
// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html>.

/// The largest message, and the largest batch, in bytes (1 MiB).
pub const SQS_MESSAGE: usize = MB;

/// The largest request to SQS: a message in which JSON or a form needs several bytes for each.
pub const SQS_REQUEST: usize = 6 * MB;

/// The most messages in one batch, and in one reception.
pub const SQS_BATCH: usize = 10;

/// The most messages of a standard queue in flight.
pub const SQS_IN_FLIGHT: usize = 120_000;

/// The most messages of a FIFO queue in flight.
pub const SQS_IN_FLIGHT_FIFO: usize = 20_000;

/// The longest a message may be in flight (12 hours).
pub const SQS_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// How long doubles of a message are not accepted (5 minutes).
pub const SQS_DEDUPLICATION: Duration = Duration::from_secs(5 * 60);

/// How long a message may be waited for (20 seconds).
pub const SQS_WAIT: Duration = Duration::from_secs(20);

/// How long after a queue was deleted another one may take its name.
pub const SQS_RECREATE: Duration = Duration::from_secs(60);

/// How long after a queue was purged it may be purged again.
pub const SQS_PURGE: Duration = Duration::from_secs(60);

/// The most tags of a queue.
pub const SQS_TAGS: usize = 50;

/// How long ended tasks that moved messages can be asked about.
pub const SQS_MOVES_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
