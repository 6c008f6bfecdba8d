//! Answers, errors and ends, in Lambda's words.

use crate::fixture::{Node, job, with};
use sandbox::Exit;

#[tokio::test]
async fn hello() {
    let node = Node::start().await;
    println!("{}", node.sandbox.features());
    let ran = node
        .python("def handler(event, context):\n    return {'hello': event['name']}", r#"{"name":"wörld"}"#)
        .await;
    assert_eq!(ran.answer(), r#"{"hello": "wörld"}"#);
    println!("{:?}", ran.report.metering);
}
