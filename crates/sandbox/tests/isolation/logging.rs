//! What Python's `logging` writes, in both formats, and what else a function learns of its event.

use crate::fixture::{Node, Ran, job, with};
use model::{LogFormat, LogLevel};
use serde_json::Value;

/// Runs `app.handler` of a Python file with JSON records from `level` on.
async fn with_json(node: &Node, level: LogLevel, source: &str) -> Ran {
    let code = node.code(&[("app.py", source)]);
    let job = with(job(code.path(), "{}"), |spec| {
        spec.logging.format = LogFormat::Json;
        spec.logging.application_level = level;
    });
    node.run(job).await
}

/// The records that are JSON.
fn records(ran: &Ran) -> Vec<Value> {
    ran.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn records_are_lines_for_people_unless_told_otherwise() {
    let node = Node::start().await;
    let source = "import logging\ndef handler(event, context):\n    logging.warning('two\\nlines')\n    \
                  logging.info('not by default')\n    print('raw')\n    return context.aws_request_id";
    let ran = node.python(source, "{}").await;
    let id = ran.answer().replace('"', "");
    let log = ran.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(
        log[0].starts_with("[WARNING]\t2") && log[0].ends_with(&format!("Z\t{id}\ttwo\nlines")),
        "{log:?}"
    );
    assert_eq!(log[1], "raw");
}

#[tokio::test]
async fn records_in_json_have_lambdas_names() {
    let node = Node::start().await;
    let source = "import logging\nlog = logging.getLogger('mine')\ndef handler(event, context):\n    \
                  print('raw', flush=True)\n    \
                  log.info('hello %s', 'wörld', extra={'order': 7, 'what': {1, 2}, 'none': None})\n    \
                  try:\n        {}['gone']\n    except KeyError:\n        log.exception('lost')\n    \
                  log.debug('not from INFO on')\n    return context.aws_request_id";
    let ran = with_json(&node, LogLevel::Info, source).await;
    assert_eq!(ran.log()[0], "raw");
    let id = ran.answer().replace('"', "");
    let records = records(&ran);
    assert_eq!(records.len(), 2, "{:?}", ran.log());
    let names = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&records[0]), "level logger message order requestId timestamp what");
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    assert_eq!(text(&records[0], "level") + &text(&records[0], "logger"), "INFOmine");
    assert_eq!((text(&records[0], "message"), text(&records[0], "requestId")), ("hello wörld".into(), id));
    assert_eq!((&records[0]["order"], text(&records[0], "what")), (&Value::from(7), "{1, 2}".into()));
    let time = text(&records[0], "timestamp");
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    let lost = &records[1];
    assert_eq!((text(lost, "level"), text(lost, "message")), ("ERROR".into(), "lost".into()));
    assert_eq!((text(lost, "errorType"), text(lost, "errorMessage")), ("KeyError".into(), "'gone'".into()));
    assert_eq!(text(lost, "location"), "/var/task/app.py:handler:9");
    assert!(lost["stackTrace"][0].as_str().unwrap().contains("line 7, in handler"));
}

#[tokio::test]
async fn the_level_holds_for_every_logger() {
    let node = Node::start().await;
    let source = "import logging\nloud = logging.getLogger('loud')\nloud.setLevel(logging.DEBUG)\n\
                  def handler(event, context):\n    for log in (logging.getLogger(), loud):\n        \
                  for level in ('debug', 'info', 'warning', 'error', 'critical'):\n            \
                  getattr(log, level)(level)";
    for (level, count) in [
        (LogLevel::Trace, 5),
        (LogLevel::Debug, 5),
        (LogLevel::Info, 4),
        (LogLevel::Warn, 3),
        (LogLevel::Fatal, 1),
    ] {
        let ran = with_json(&node, level, source).await;
        assert_eq!(records(&ran).len(), 2 * count, "{level:?}: {:?}", ran.log());
    }
}

#[tokio::test]
async fn errors_are_json_records_too() {
    let node = Node::start().await;
    let raises = "def handler(event, context):\n    raise ValueError('no')";
    for (source, kind) in [(raises, "ValueError"), ("import absent", "Runtime.ImportModuleError")] {
        let ran = with_json(&node, LogLevel::Info, source).await;
        let records = records(&ran);
        assert_eq!((records.len(), ran.lines.len()), (1, 1), "{:?}", ran.log());
        assert_eq!(
            (records[0]["level"].as_str(), records[0]["errorType"].as_str()),
            (Some("ERROR"), Some(kind))
        );
        assert_eq!(records[0]["requestId"], ran.error().more["requestId"]);
        assert_eq!(records[0]["stackTrace"], ran.error().more["stackTrace"]);
        assert!(records[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn the_trace_header_is_in_the_environment_however_it_is_read() {
    let node = Node::start().await;
    let late = "def handler(event, context):\n    import os, subprocess\n    \
                child = subprocess.check_output(['sh', '-c', 'printf %s \"$_X_AMZN_TRACE_ID\"'], text=True)\n    \
                return [os.environ['_X_AMZN_TRACE_ID'], child]";
    for source in [late.to_owned(), format!("import os\n{late}")] {
        let answer = node.python(&source, "{}").await.answer();
        let [own, child]: [String; 2] = serde_json::from_str(&answer).unwrap();
        assert!(own.starts_with("Root=1-") && own.ends_with(";Sampled=0"), "{own}");
        assert_eq!(own, child);
    }
}

#[tokio::test]
async fn a_function_that_does_not_log_does_not_pay_for_it() {
    let node = Node::start().await;
    let source = "import sys\ndef handler(event, context):\n    \
                  return sorted({'logging', 'json', 're', 'os', 'decimal', 'traceback'} & set(sys.modules))";
    for level in [None, Some(LogLevel::Debug)] {
        let ran = match level {
            None => node.python(source, "{}").await,
            Some(level) => with_json(&node, level, source).await,
        };
        assert_eq!(ran.answer(), "[]");
    }
}
