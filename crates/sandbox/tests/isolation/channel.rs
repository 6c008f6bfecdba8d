//! Functions that take the event channel into their own hands.

use crate::fixture::Node;
use sandbox::Exit;

/// Runs a module that writes these bytes to the channel while it is loaded or handles its event, and then waits.
async fn writes(node: &Node, bytes: &str, in_handler: bool) -> crate::fixture::Ran {
    let write = format!("import os, time; os.write(3, {bytes}); time.sleep(100)");
    let source = if in_handler { format!("def handler(event, context):\n    {write}") } else { write };
    node.python(&source, "{}").await
}

#[tokio::test]
async fn the_first_of_two_answers_counts() {
    let node = Node::start().await;
    let ran = writes(&node, r"b'A\0\0\0\x011A\0\0\0\x012'", true).await;
    assert_eq!(ran.answer(), "1");
}

#[tokio::test]
async fn garbage_ends_the_process_with_a_clean_error() {
    let node = Node::start().await;
    for (bytes, in_handler) in [
        (r"b'GET / HTTP/1.1\r\n\r\n'", true),
        (r"b'\0' * 100000", true),
        (r"b'R\0\0\0\0'", true),         // ready a second time
        (r"b'A\0\0\0\x011'", false),     // an answer before the event
        (r"b'V\0\0\0\0'", true),         // what only the platform says
        (r"b'E\xff\xff\xff\xff'", true), // an error of four gigabytes
        (r"b'E\0\0\0\x01{'", true),      // an error that is not a document
        (r"b'I\0\0\0\x02{}'", true),     // an error of loading after loading
    ] {
        let ran = writes(&node, bytes, in_handler).await;
        assert_eq!(ran.error().error_type, "Runtime.ExitError", "{bytes}");
        assert_ne!(ran.report.exit, Exit::TimedOut, "{bytes}");
    }
    let ran = writes(&node, r"b'A\xff\xff\xff\xff'", true).await;
    assert_eq!(ran.error().error_type, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn half_a_frame_waits_for_the_deadline() {
    let node = Node::start().await;
    let source = "import os, time\ndef handler(event, context):\n    os.write(3, b'A\\0\\0\\xff\\xff...'); os._exit(0)";
    let ran = node.python(source, "{}").await;
    assert_eq!(ran.error().error_type, "Runtime.ExitError");
}

#[tokio::test]
async fn an_answer_just_before_the_end_counts() {
    let node = Node::start().await;
    let source = "import os\ndef handler(event, context):\n    os.write(3, b'A\\0\\0\\0\\x011'); os._exit(0)";
    assert_eq!(node.python(source, "{}").await.answer(), "1");
}

#[tokio::test]
async fn children_do_not_inherit_the_channel() {
    let node = Node::start().await;
    let source = "import subprocess\ndef handler(event, context):\n    return subprocess.run(['ls', '/proc/self/fd'], capture_output=True, text=True, close_fds=False).stdout.split()";
    assert_eq!(node.python(source, "{}").await.answer(), r#"["0", "1", "2", "3"]"#); // 3 is ls's own view
    let source = "import os\ndef handler(event, context):\n    return [sorted(os.listdir('/proc/self/fd'))[:-1], os.get_inheritable(3)]";
    assert_eq!(node.python(source, "{}").await.answer(), r#"[["0", "1", "2", "3"], false]"#);
}
