//! Answers, errors and ends, in Lambda's words.

use crate::fixture::{Node, job, with};
use model::Language;
use sandbox::Exit;
use std::sync::Arc;

/// An error's type and message.
fn words(ran: &crate::fixture::Ran) -> (&str, &str) {
    (&ran.error().error_type, &ran.error().error_message)
}

/// The frames of an error's stack.
fn stack_trace(ran: &crate::fixture::Ran) -> Vec<&str> {
    let frames = ran.error().more["stackTrace"].as_array().unwrap();
    frames.iter().map(|frame| frame.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_handler_gets_its_event_and_answers() {
    let node = Node::start().await;
    println!("{}", node.sandbox.features());
    let source = "def handler(event, context):\n    return {'hello': event['name']}";
    let ran = node.python(source, r#"{"name":"wörld"}"#).await;
    assert_eq!(ran.answer(), r#"{"hello": "w\u00f6rld"}"#);
    assert_eq!(ran.report.exit, Exit::Answered);
    let metering = &ran.report.metering;
    assert!(
        metering.peak_memory > 1 << 20 && !metering.cpu.is_zero() && !metering.init.is_zero(),
        "{metering:?}"
    );
}

#[tokio::test]
async fn every_kind_of_answer_becomes_json() {
    let node = Node::start().await;
    let source = "def handler(event, context):\n    return eval(event)";
    for (python, json) in [
        ("None", "null"),
        ("'text'", r#""text""#),
        ("[1, 2.5, True, None]", "[1, 2.5, true, null]"),
        ("{'ключ': '値'}", r#"{"\u043a\u043b\u044e\u0447": "\u5024"}"#),
        ("float('inf')", "Infinity"),
        ("'a\\x00b'", r#""a\u0000b""#),
        (
            "[__import__('decimal').Decimal('1.50'), 'é', {'a': [__import__('decimal').Decimal('NaN')]}]",
            r#"[1.50, "\u00e9", {"a": [NaN]}]"#,
        ),
        ("__import__('decimal').Decimal('-1E+400')", "-1E+400"),
        ("{'body': b'bytes'}", r#"{"body": "bytes"}"#),
        ("b'not JSON at all'", "not JSON at all"),
    ] {
        let event = format!("\"{}\"", python.replace('\\', "\\\\"));
        assert_eq!(node.python(source, &event).await.answer(), json);
    }
    for python in ["{1, 2}", "__import__('datetime').datetime.now()", "object()", "[1j]"] {
        let ran = node.python(source, &format!("\"{python}\"")).await;
        let (kind, message) = words(&ran);
        assert_eq!(kind, "Runtime.MarshalError");
        assert!(message.starts_with("Unable to marshal response: Object of type "), "{message}");
        assert!(message.ends_with(" is not JSON serializable"), "{message}");
    }
}

#[tokio::test]
async fn from_python_3_12_on_answers_are_not_ascii() {
    let node = Node::start().await;
    let code = node.code(&[("app.py", "def handler(event, context):\n    return 'é' + event")]);
    let job = with(job(code.path(), "\"値\""), |spec| spec.runtime = "python3.12".into());
    assert_eq!(node.run(job).await.answer(), "\"é値\"");
}

#[tokio::test]
async fn six_megabytes_go_in_and_out_and_no_byte_more_comes_out() {
    let node = Node::start().await;
    let event = format!("\"{}\"", "x".repeat(6 * 1024 * 1024 - 2));
    let echo = "def handler(event, context):\n    return event";
    assert_eq!(node.python(echo, &event).await.answer(), event);
    let more = "def handler(event, context):\n    return event + 'x' * 101";
    let ran = node.python(more, &event).await;
    let message = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
    assert_eq!(words(&ran), ("Function.ResponseSizeTooLarge", message));
}

#[tokio::test]
async fn an_exception_is_described_and_logged() {
    let node = Node::start().await;
    let source = "class Odd(Exception):\n    pass\n\ndef inner():\n    raise Odd('not even')\n\n\
                  def handler(event, context):\n    inner()\n";
    let ran = node.python(source, "{}").await;
    assert_eq!(words(&ran), ("Odd", "not even"));
    let stack = stack_trace(&ran);
    assert_eq!(stack[0], "  File \"/var/task/app.py\", line 8, in handler\n    inner()\n");
    assert_eq!(stack.len(), 2, "{stack:?}");
    assert!(ran.error().more["requestId"].is_string());
    let log = ran.log().join("\n");
    assert!(
        log.starts_with("[ERROR] Odd: not even\nTraceback (most recent call last):\n\u{a0}\u{a0}File"),
        "{log}"
    );
    assert_eq!(ran.lines.len(), 1, "a stack trace is one record");
}

#[tokio::test]
async fn errors_of_loading_have_lambdas_names() {
    let node = Node::start().await;
    let cases = [
        (
            "app.handler",
            "import absent",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'absent'",
        ),
        (
            "gone.handler",
            "",
            "Runtime.ImportModuleError",
            "Unable to import module 'gone': No module named 'gone'",
        ),
        ("app.handler", "x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "app.handler",
            "def (",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (
            "handler",
            "",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        ("app.handler", "1 / 0", "ZeroDivisionError", "division by zero"),
    ];
    for (handler, source, kind, message) in cases {
        let code = node.code(&[("app.py", source)]);
        let ran = node.run(with(job(code.path(), "{}"), |spec| spec.handler = handler.into())).await;
        assert_eq!(words(&ran), (kind, message));
        assert!(
            ran.log()[0].starts_with(&format!("[ERROR] {kind}: {message}\nTraceback")),
            "{:?}",
            ran.log()
        );
    }
}

#[tokio::test]
async fn modules_may_lie_in_packages_and_directories() {
    let node = Node::start().await;
    let code = node.code(&[
        ("pkg/__init__.py", ""),
        ("pkg/mod.py", "def f(e, c): return __name__"),
        ("dir/m.py", "def f(e, c): return __file__"),
    ]);
    for (handler, answer) in
        [("pkg.mod.f", "\"pkg.mod\""), ("pkg/mod.f", "\"pkg.mod\""), ("dir/m.f", "\"/var/task/dir/m.py\"")]
    {
        let ran = node.run(with(job(code.path(), "{}"), |spec| spec.handler = handler.into())).await;
        assert_eq!(ran.answer(), answer);
    }
}

#[tokio::test]
async fn a_bad_event_is_an_unmarshal_error() {
    let node = Node::start().await;
    for event in ["{", "", "{} {}", "nul"] {
        let ran = node.python("def handler(event, context): pass", event).await;
        assert_eq!(words(&ran).0, "Runtime.UnmarshalError", "{event}");
    }
}

#[tokio::test]
async fn a_process_that_ends_without_an_answer_is_an_exit_error() {
    let node = Node::start().await;
    let cases = [
        ("import sys; sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("exit()", "Runtime exited without providing a reason"),
        ("import os; os._exit(0)", "Runtime exited without providing a reason"),
        ("import os; os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("import ctypes; ctypes.string_at(0)", "Runtime exited with error: signal: segmentation fault"),
        ("import os; os.abort()", "Runtime exited with error: signal: aborted"),
    ];
    for (code, reason) in cases {
        for source in [code.to_owned(), format!("def handler(event, context):\n    {code}")] {
            let code = node.code(&[("app.py", &source)]);
            let job = job(code.path(), "{}");
            let id = job.request_id;
            let ran = node.run(job).await;
            assert_eq!(
                words(&ran),
                ("Runtime.ExitError", format!("RequestId: {id} Error: {reason}").as_str())
            );
            assert_eq!(ran.report.exit, Exit::Died);
        }
    }
}

#[tokio::test]
async fn the_context_says_what_lambda_says() {
    let node = Node::start().await;
    let source = r#"
import json
def handler(event, c):
    assert 0 < c.get_remaining_time_in_millis() <= 10000
    assert c.client_context.custom == {"a": 1} and c.client_context.client.app_title == "t"
    assert c.identity.cognito_identity_id is None and c.tenant_id is None
    return [c.function_name, c.function_version, c.invoked_function_arn, c.memory_limit_in_mb, c.aws_request_id,
            c.log_group_name, "[$LATEST]" in c.log_stream_name]
"#;
    let code = node.code(&[("app.py", source)]);
    let mut job = job(code.path(), "{}");
    job.client_context = Some(r#"{"custom": {"a": 1}, "client": {"app_title": "t"}, "env": {}}"#.into());
    let id = job.request_id;
    let answer = node.run(job).await.answer();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:tested";
    assert_eq!(
        answer,
        format!(r#"["tested", "$LATEST", "{arn}", "128", "{id}", "/aws/lambda/tested", true]"#)
    );
}

#[tokio::test]
async fn prints_and_log_records_arrive_in_order() {
    let node = Node::start().await;
    let source = r#"
import logging, sys
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    print("first")
    logging.info("second\nline")
    logging.debug("hidden")
    print("third", file=sys.stderr)
    sys.stdout.write("unfinished")
"#;
    let code = node.code(&[("app.py", source)]);
    let job = job(code.path(), "{}");
    let id = job.request_id.to_string();
    let ran = node.run(job).await;
    let log = ran.log();
    assert_eq!((log[0], log[2], log[3], log.len()), ("first", "third", "unfinished", 4), "{log:?}");
    let fields: Vec<_> = log[1].split('\t').collect();
    assert_eq!((fields[0], fields[2], fields[3]), ("[INFO]", id.as_str(), "second\nline"));
    assert!(fields[1].ends_with('Z') && fields[1].len() == 24, "{}", fields[1]);
}

#[tokio::test]
async fn the_environment_is_lambdas_with_the_users_variables() {
    let node = Node::start().await;
    let source = "import os, time, sys\ndef handler(event, context):\n    return [dict(os.environ), time.tzname[0], sys.path, os.getcwd(), sys.stdout.encoding]";
    let code = node.code(&[("app.py", source)]);
    let mut job = with(job(code.path(), "{}"), |spec| {
        spec.environment.insert("MINE".into(), "1".into());
        spec.environment.insert("AWS_REGION".into(), "elsewhere".into());
    });
    job.function.environment = Arc::new([("AWS_ENDPOINT_URL".into(), "http://127.0.0.1:4566".into())].into());
    let answer = node.run(job).await.answer();
    for part in [
        r#""MINE": "1""#,
        r#""AWS_REGION": "us-east-1""#,
        r#""LAMBDA_TASK_ROOT": "/var/task""#,
        r#""TZ": ":UTC""#,
        r#""_HANDLER": "app.handler""#,
        r#""AWS_ENDPOINT_URL": "http://127.0.0.1:4566""#,
        r#""UTC", ["/var/task""#,
        r#""/var/task", "utf-8"]"#,
    ] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
    assert!(!answer.contains("site-packages") && !answer.contains("MAYFLY"), "{answer}");
}

#[tokio::test]
async fn another_version_runs_with_a_warning_and_another_language_not_at_all() {
    let node = Node::start().await;
    let code = node.code(&[("app.py", "def handler(event, context): return 1")]);
    let ran = node.run(with(job(code.path(), "{}"), |spec| spec.runtime = "python3.99".into())).await;
    assert_eq!(ran.answer(), "1");
    let warning = ran.report.warning.clone().unwrap();
    assert!(warning.starts_with("python3.99 is not on this machine"), "{warning}");
    assert!(ran.log()[0].ends_with(&warning));
}

#[tokio::test]
async fn every_interpreter_of_this_machine_runs_functions() {
    let node = Node::start().await;
    let source = r#"
import logging, sys
def handler(event, context):
    logging.error("seen")
    if event["fail"]: raise KeyError("gone")
    from decimal import Decimal
    return [sys.version_info[1], event, Decimal("1.50"), "ü", context.aws_request_id != ""]
"#;
    let mut seen = Vec::new();
    for interpreter in node.sandbox.interpreters().iter() {
        let minor = interpreter.installed.version.1;
        if interpreter.installed.language != Language::Python || seen.contains(&minor) {
            continue;
        }
        seen.push(minor);
        for fail in [false, true] {
            let code = node.code(&[("app.py", source)]);
            let event = format!(r#" {{"fail": {fail}, "x": [1, -2.5e3, "\u00e9\n"]}} "#);
            let job = with(job(code.path(), &event), |spec| spec.runtime = format!("python3.{minor}"));
            let ran = node.run(job).await;
            assert!(
                ran.log()[0].starts_with("[ERROR]\t") && ran.log()[0].ends_with("\tseen"),
                "{:?}",
                ran.log()
            );
            if fail {
                assert_eq!(words(&ran), ("KeyError", "'gone'"));
                let stack = stack_trace(&ran);
                assert_eq!(stack.len(), 1, "{stack:?}");
            } else {
                let (e, u) = if minor < 12 { (r"\u00e9", r"\u00fc") } else { ("é", "ü") };
                let echo = format!(r#"{{"fail": false, "x": [1, -2500.0, "{e}\n"]}}"#);
                assert_eq!(ran.answer(), format!(r#"[{minor}, {echo}, 1.50, "{u}", true]"#));
            }
        }
    }
    println!("ran on Python 3.{seen:?}");
    assert!(!seen.is_empty());
}
