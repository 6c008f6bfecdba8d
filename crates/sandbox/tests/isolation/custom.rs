//! Custom runtimes: programs that speak the Lambda Runtime API, well and badly. They are shell scripts that write HTTP
//! by hand.

use crate::fixture::{Node, Ran, job, with};
use model::NetworkPolicy;
use sandbox::{Exit, Job};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What the scripts begin with: `call METHOD PATH BODY [HEADER...]` makes one request on a connection of its own and
/// sets `status`, `head`, `body` and `type` (of an error); `next` asks for the event and sets `id` and `event`;
/// `answer` and `fail` end it; `note` keeps what `call` brought, for an answer of all notes.
const PRELUDE: &str = r#"#!/bin/bash
LC_ALL=C
trap '' PIPE
api=/2018-06-01/runtime
call() {
    local method=$1 path=$2 data=$3 whole
    shift 3
    exec 4<>/dev/tcp/127.0.0.1/9001 || return
    {
        printf '%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' "$method" "$path"
        [ $# = 0 ] || printf '%s\r\n' "$@"
        [[ "$*" == *chunked* ]] || printf 'Content-Length: %d\r\n' ${#data}
        printf '\r\n%s' "$data"
    } >&4 2>/dev/null
    whole=$(cat <&4)
    exec 4>&-
    status=${whole:9:3} head=${whole%%$'\r\n\r\n'*} body=${whole#*$'\r\n\r\n'} type=
    [[ $body =~ \"errorType\":\"([A-Za-z.]+)\" ]] && type=:${BASH_REMATCH[1]}
}
next() {
    call GET $api/invocation/next ''
    [[ $head =~ Lambda-Runtime-Aws-Request-Id:\ ([0-9a-f-]+) ]] && id=${BASH_REMATCH[1]}
    event=$body
}
answer() { call POST $api/invocation/$id/response "$@"; }
fail() { call POST $api/invocation/$id/error "$@"; }
note() { notes="$notes$status$type "; }
"#;

/// A job for a package whose `bootstrap` is this script behind the prelude.
pub(crate) fn script(node: &Node, lines: &str, event: &str) -> (crate::fixture::Code, Job) {
    let code = node.code(&[("bootstrap", &format!("{PRELUDE}{lines}\n"))]);
    make_executable(&code.path().join("bootstrap"));
    let job = custom(code.path(), event);
    (code, job)
}

fn make_executable(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn custom(code: &Path, event: &str) -> Job {
    with(job(code, event), |spec| spec.runtime = "provided.al2023".into())
}

async fn run(node: &Node, lines: &str, event: &str) -> Ran {
    let (_code, job) = script(node, lines, event);
    node.run(job).await
}

fn words(ran: &Ran) -> (&str, &str) {
    (&ran.error().error_type, &ran.error().error_message)
}

#[tokio::test]
async fn an_event_goes_in_and_an_answer_comes_out() {
    let node = Node::start().await;
    let lines = r#"echo starting
        [ ! -e /proc/self/fd/3 ] || exit 9
        next
        echo "$head" | tr -d '\r'
        answer "[$event, \"$_HANDLER\", \"$PWD\", \"$0\"]"
        echo "$status $body"
        next
        echo never"#;
    let (_code, mut job) = script(&node, lines, r#"{"name":"wörld"}"#);
    job.client_context = Some("{\n\"custom\": {}}".into());
    let id = job.request_id.to_string();
    let ran = node.run(job).await;
    let answer = r#"[{"name":"wörld"}, "app.handler", "/var/task", "/var/task/bootstrap"]"#;
    assert_eq!(ran.answer(), answer);
    assert_eq!(ran.report.exit, Exit::Answered);
    assert!(!ran.report.metering.init.is_zero() && !ran.report.metering.duration.is_zero());
    let log = ran.log();
    assert_eq!((log[0], log[1]), ("starting", "HTTP/1.1 200 OK"));
    // What it does after its answer and before it asks again belongs to the event.
    assert_eq!(log.last().unwrap(), &r#"202 {"status":"OK"}"#);
    for header in [
        "Content-Type: application/json",
        &format!("Lambda-Runtime-Aws-Request-Id: {id}"),
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:tested",
        r#"Lambda-Runtime-Client-Context: {"custom":{}}"#,
    ] {
        assert!(log.contains(&header), "{header} is not in {log:#?}");
    }
    for header in ["Lambda-Runtime-Deadline-Ms: 1", "Lambda-Runtime-Trace-Id: Root=1-"] {
        assert!(log.iter().any(|line| line.starts_with(header)), "{header} is not in {log:#?}");
    }
}

#[tokio::test]
async fn the_environment_is_the_one_of_a_custom_runtime() {
    let node = Node::start().await;
    let ran = run(&node, r#"next; answer "$(env | sort)""#, "{}").await;
    let answer = ran.answer();
    for line in
        ["AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "_HANDLER=app.handler", "LAMBDA_TASK_ROOT=/var/task"]
    {
        assert!(answer.lines().any(|one| one == line), "{line} is not in {answer}");
    }
    for name in ["AWS_EXECUTION_ENV", "MAYFLY", "_X_AMZN_TRACE_ID"] {
        assert!(!answer.contains(name), "{name} is in {answer}");
    }
}

#[tokio::test]
async fn the_api_is_there_where_nothing_else_is() {
    let node = Node::start().await;
    let lines = "exec 4<>/dev/tcp/127.0.0.1/4566 && exit 9; next; answer 1; next";
    let (_code, job) = script(&node, lines, "{}");
    let ran = node.run(with(job, |spec| spec.network = Some(NetworkPolicy::Nothing))).await;
    assert_eq!(ran.answer(), "1");
}

#[tokio::test]
async fn six_megabytes_go_in_and_out_and_no_byte_more_comes_out() {
    let node = Node::start().await;
    let event = format!("\"{}\"", "x".repeat(6 * 1024 * 1024 - 2));
    let ran = run(&node, "next; answer \"$event\"; next", &event).await;
    assert_eq!(ran.answer(), event);
    let more = r#"next
        answer "$event$(printf %101s)"; note
        answer 1; note
        echo "$notes"; next"#;
    let ran = run(&node, more, &event).await;
    let message = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
    assert_eq!(words(&ran), ("Function.ResponseSizeTooLarge", message));
    assert_eq!(ran.log()[0], "413:RequestEntityTooLarge 403:InvalidStateTransition ");
    // Nobody knows beforehand how long a stream gets.
    let endless = r#"next
        exec 4<>/dev/tcp/127.0.0.1/9001
        printf 'POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' $api/invocation/$id/response >&4
        while :; do printf '%x\r\n%s\r\n' ${#event} "$event" >&4; done"#;
    assert_eq!(words(&run(&node, endless, &event).await), ("Function.ResponseSizeTooLarge", message));
}

#[tokio::test]
async fn errors_are_the_runtimes_own_documents() {
    let node = Node::start().await;
    let whole = r#"{"errorMessage":"no","errorType":"Odd","trace":["a"]}"#;
    let cases = [
        (format!("'{whole}'"), whole),
        (
            r#"'{"errorMessage":"no"}' 'Lambda-Runtime-Function-Error-Type: Runtime.Odd'"#.into(),
            r#"{"errorMessage":"no","errorType":"Runtime.Odd"}"#,
        ),
        ("'not json'".into(), r#"{"errorMessage":"not json","errorType":"Runtime.Unknown"}"#),
        ("''".into(), r#"{"errorMessage":"","errorType":"Runtime.Unknown"}"#),
        (
            r#""$(printf %1048577s)" 'Lambda-Runtime-Function-Error-Type: Runtime.Long'"#.into(),
            r#"{"errorMessage":"The error document is longer than 1048576 bytes.","errorType":"Runtime.Long"}"#,
        ),
    ];
    for (arguments, document) in &cases {
        for lines in [
            format!("next; fail {arguments}; next"),
            format!("call POST $api/init/error {arguments}; exit 1"),
            format!("next; fail {arguments}; exit 1"),
        ] {
            let ran = run(&node, &lines, "{}").await;
            assert_eq!(ran.error().document(), document, "{lines}");
            assert_eq!(ran.report.exit, Exit::Answered);
        }
    }
}

#[tokio::test]
async fn a_stream_is_gathered_and_may_break_off() {
    let node = Node::start().await;
    let streaming = "'Transfer-Encoding: chunked' 'Lambda-Runtime-Function-Response-Mode: streaming'";
    let chunks = r"5\r\n[1,2,\r\n2\r\n3]\r\n0\r\n";
    let ran = run(&node, &format!("next; answer $'{chunks}\\r\\n' {streaming}; next"), "{}").await;
    assert_eq!(ran.answer(), "[1,2,3]");
    let trailers = r"Lambda-Runtime-Function-Error-Type: Function.Half\r\nLambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJubyJ9\r\n\r\n";
    let names = "'Trailer: Lambda-Runtime-Function-Error-Type' 'Trailer: Lambda-Runtime-Function-Error-Body'";
    let lines = format!("next; answer $'{chunks}{trailers}' {streaming} {names}; next");
    assert_eq!(words(&run(&node, &lines, "{}").await), ("Function.Half", "no"));
    let lines = "next; answer 1 'Lambda-Runtime-Function-Response-Mode: odd'; echo $status$type; next";
    let ran = run(&node, lines, "{}").await;
    assert_eq!(words(&ran).0, "Runtime.InvalidResponseModeHeader");
    assert_eq!(ran.log()[0], "400:InvalidFunctionResponseMode");
}

#[tokio::test]
async fn what_is_out_of_turn_is_refused_and_changes_nothing() {
    let node = Node::start().await;
    let lines = r#"
        id=$(cat /proc/sys/kernel/random/uuid)
        answer 1; note
        fail '{}'; note
        next; note
        first=$event; next; note
        [ "$first" = "$event" ] || exit 9
        call POST $api/init/error '{}'; note
        right=$id id=other
        answer 1; note
        fail '{}'; note
        id=$right
        answer 2; note
        answer 3; note
        fail '{}'; note
        call POST $api/init/error '{}'; note
        echo "$notes"
        next"#;
    let ran = run(&node, lines, "7").await;
    assert_eq!(ran.answer(), "2");
    let notes = "400:InvalidRequestID 400:InvalidRequestID 200 200 403:InvalidStateTransition \
                 400:InvalidRequestID 400:InvalidRequestID 202 403:InvalidStateTransition \
                 403:InvalidStateTransition 403:InvalidStateTransition ";
    assert_eq!(ran.log(), [notes]);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let node = Node::start().await;
    let lines = r#"
        for path in / /x $api/invocation $api/invocation/next/ $api/restore/next /2015-03-31/functions '*' ''; do
            call GET "$path" ''; note
        done
        call POST $api/restore/error '{}'; note
        call POST $api/invocation/next ''; note
        call GET $api/init/error ''; note
        call DELETE $api/invocation/x/response ''; note
        call POST /2020-01-01/extension/other '{}'; note
        call PUT /2020-01-01/extension/register '{}'; note
        call POST /2020-01-01/extension/register '{"events": []}'; note
        call PUT /2022-07-01/telemetry '{}'; note
        next
        answer "\"$notes\"""#;
    let answer = run(&node, lines, "{}").await.answer();
    let nothing = "404:NotFound ";
    let expected = [&nothing.repeat(7), "400 ", nothing, &"405:MethodNotAllowed ".repeat(3)].concat()
        + "404:NotFound 405:MethodNotAllowed 403:Extension.InvalidExtensionName \
           403:Extension.MissingExtensionIdentifier ";
    assert_eq!(answer, format!("\"{expected}\""));
}

#[tokio::test]
async fn garbage_and_floods_do_no_harm() {
    let node = Node::start().await;
    let lines = r#"
        raw() { exec 5<>/dev/tcp/127.0.0.1/9001; printf "$@" >&5; exec 5>&-; }
        raw 'R\0\0\0\0'
        raw 'GET / HTTP/9.9\r\n\r\n'
        raw 'POST %s/init/error HTTP/1.1\r\nContent-Length: -1\r\n\r\n' $api
        raw 'POST %s/init/error HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n' $api
        raw 'GET / HTTP/1.1\r\nX: '; for i in {1..200}; do raw 'x'; done
        call GET / '' "X: $(printf %70000s | tr ' ' x)"; note
        call GET "/$(printf %70000s | tr ' ' x)" ''; note
        call GET / '' $(for i in {1..200}; do echo X-$i:1; done); note
        # Connections that nobody uses; more than are served would lock the function out, and nobody else.
        for i in {10..20}; do eval "exec $i<>/dev/tcp/127.0.0.1/9001"; done
        next
        # Half an answer does not count, and another one may follow.
        raw 'POST %s/invocation/%s/response HTTP/1.1\r\nContent-Length: 10\r\n\r\n[1' $api $id
        until answer 2; [ $status = 202 ]; do :; done
        echo "$notes"; next"#;
    let ran = run(&node, lines, "{}").await;
    assert_eq!(ran.answer(), "2");
    assert_eq!(ran.log(), ["431 431 431 "]);
    let locked_out = "for i in {10..80}; do eval \"exec $i<>/dev/tcp/127.0.0.1/9001\"; done; next";
    let (_code, job) = script(&node, locked_out, "{}");
    let ran = node.run(with(job, |spec| spec.timeout_s = 1)).await;
    assert_eq!(ran.report.exit, Exit::TimedOut);
}

#[tokio::test]
async fn the_end_of_the_process_is_told() {
    let node = Node::start().await;
    let cases = [
        ("exit 3", "Runtime exited with error: exit status 3"),
        ("next; exit 3", "Runtime exited with error: exit status 3"),
        ("true", "Runtime exited without providing a reason"),
        ("next; kill -SEGV $$", "Runtime exited with error: signal: segmentation fault"),
        (
            "next; exec 4<>/dev/tcp/127.0.0.1/9001; printf 'POST %s/invocation/%s/response HTTP/1.1\\r\\nContent-Length: 10\\r\\n\\r\\n[1' $api $id >&4; exit 4",
            "Runtime exited with error: exit status 4",
        ),
    ];
    for (lines, reason) in cases {
        let (_code, job) = script(&node, lines, "{}");
        let id = job.request_id;
        let ran = node.run(job).await;
        assert_eq!(words(&ran), ("Runtime.ExitError", format!("RequestId: {id} Error: {reason}").as_str()));
        assert_eq!(ran.report.exit, Exit::Died);
    }
}

#[tokio::test]
async fn an_answer_counts_whatever_comes_after_it() {
    let node = Node::start().await;
    let unread = "next; exec 4<>/dev/tcp/127.0.0.1/9001; printf 'POST %s/invocation/%s/response HTTP/1.1\\r\\nContent-Length: 1\\r\\n\\r\\n2' $api $id >&4; exit 4";
    for lines in ["next; answer 2; exit 3", "next; answer 2; kill -KILL $$", unread] {
        let ran = run(&node, lines, "{}").await;
        assert_eq!((ran.answer().as_str(), ran.report.exit), ("2", Exit::Answered), "{lines}");
    }
    let (_code, job) = script(&node, "next; answer 2; echo on; sleep 100", "{}");
    let ran = node.run(with(job, |spec| spec.timeout_s = 1)).await;
    assert_eq!((ran.answer().as_str(), ran.report.exit), ("2", Exit::Answered));
    assert!(ran.log()[0] == "on" && ran.log()[1].ends_with("until its time was up"), "{:?}", ran.log());
    let (_code, job) = script(&node, "next; sleep 100", "{}");
    let ran = node.run(with(job, |spec| spec.timeout_s = 1)).await;
    assert_eq!(words(&ran).0, "Sandbox.Timedout");
}

#[tokio::test]
async fn a_package_without_a_fit_program_is_told_as_lambda_tells_it() {
    let node = Node::start().await;
    let absent = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
    let of = |reason: &str| format!("fork/exec /var/task/bootstrap: {reason}");
    let cases = [
        ("other", "#!/bin/sh", true, absent.to_owned()),
        ("bootstrap/directory", "", true, absent.to_owned()),
        ("bootstrap", "#!/bin/sh", false, of("permission denied")),
        ("bootstrap", "nothing that runs", true, of("exec format error")),
        ("bootstrap", "#!/no/such/interpreter\n", true, of("no such file or directory")),
    ];
    for (name, text, executable, reason) in cases {
        let code = node.code(&[(name, text)]);
        if executable {
            make_executable(&code.path().join(name));
        }
        let job = custom(code.path(), "{}");
        let id = job.request_id;
        let ran = node.run(job).await;
        let message = format!("RequestId: {id} Error: {reason}");
        assert_eq!(words(&ran), ("Runtime.InvalidEntrypoint", message.as_str()));
        assert_eq!(ran.report.exit, Exit::NotStarted);
        assert_eq!(ran.log(), [format!("{message}\nRuntime.InvalidEntrypoint")]);
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_custom_runtime() {
    let node = Node::start().await;
    run(&node, "next; answer 1; next", "{}").await;
    let before = node.settled().await;
    for lines in ["next; answer 1; next", "next; sleep 100 & exit 1", "call POST $api/init/error '{}'; next"]
    {
        run(&node, lines, "{}").await;
    }
    node.nothing_left().await;
    assert_eq!(node.settled_at(&before).await, before);
}

#[tokio::test]
async fn a_sandbox_made_for_another_runtime_has_nothing_of_it() {
    let node = Node::start().await;
    node.python("def handler(event, context): pass", "{}").await.answer();
    let lines = r#"next
        while read -r _ _ _ mount; do mounts="$mounts$mount|"; done </proc/self/mountinfo
        answer "\"$mounts\"""#;
    let (_code, job) = script(&node, lines, "{}");
    let mut seen = Vec::new();
    // Those that wait were made for Python; then one after the other is made for this.
    for _ in 0..4 {
        node.settled().await;
        let answer = node.run(job.clone()).await.answer();
        // Each sandbox has a uid of its own.
        let but_uids = |mount: &str| {
            mount.split(',').filter(|option| !option.contains("id=1")).collect::<Vec<_>>().join(",")
        };
        let mut mounts: Vec<String> = answer.trim_matches('"').split('|').map(but_uids).collect();
        mounts.sort();
        seen.push(mounts);
    }
    assert!(seen[0].len() > 20 && !seen[0].iter().any(|mount| mount.contains("python")), "{:?}", seen[0]);
    for later in &seen[1..] {
        assert_eq!(*later, seen[0]);
    }
}
