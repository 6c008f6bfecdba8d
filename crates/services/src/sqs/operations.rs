//! All operations of SQS: the one list from which routing and the documentation derive.

use super::*;
use wire::rpc;
use wire::rpc::{Api, Flat, Operation};

const ATTRIBUTE_NAMES: Flat = Flat::list("AttributeNames", "AttributeName");
const ATTRIBUTES: Flat = Flat::map("Attributes", "Attribute", "Name", "Value");
const MESSAGE_ATTRIBUTES: Flat = Flat::map("MessageAttributes", "MessageAttribute", "Name", "Value");
const SYSTEM_ATTRIBUTES: Flat =
    Flat::map("MessageSystemAttributes", "MessageSystemAttribute", "Name", "Value");
const STRINGS: Flat = Flat::list("StringListValues", "StringListValue");
const BINARIES: Flat = Flat::list("BinaryListValues", "BinaryListValue");
const TAGS: Flat = Flat::map("Tags", "Tag", "Key", "Value");
const FAILED: Flat = Flat::list("Failed", "BatchResultErrorEntry");
const URLS: Flat = Flat::list("QueueUrls", "QueueUrl");

/// SQS as it is on the wire.
pub static API: Api<Sqs> = Api {
    target: "AmazonSQS",
    shapes: "com.amazonaws.sqs",
    xmlns: "http://queue.amazonaws.com/doc/2012-11-05/",
    query_code: fault::query_code,
    body_limit: limits::SQS_REQUEST,
    operations: &[
        Operation::new("AddPermission", rpc!(add_permission::run))
            .flat(&[Flat::list("AWSAccountIds", "AWSAccountId"), Flat::list("Actions", "ActionName")]),
        Operation::new("CancelMessageMoveTask", rpc!(cancel_message_move_task::run)),
        Operation::new("ChangeMessageVisibility", rpc!(change_message_visibility::run)),
        Operation::new("ChangeMessageVisibilityBatch", rpc!(change_message_visibility_batch::run)).flat(&[
            Flat::list("Entries", "ChangeMessageVisibilityBatchRequestEntry"),
            Flat::list("Successful", "ChangeMessageVisibilityBatchResultEntry"),
            FAILED,
        ]),
        Operation::new("CreateQueue", rpc!(create_queue::run)).flat(&[
            ATTRIBUTES,
            TAGS,
            Flat::map("tags", "tag", "Key", "Value"),
        ]),
        Operation::new("DeleteMessage", rpc!(delete_message::run)),
        Operation::new("DeleteMessageBatch", rpc!(delete_message_batch::run)).flat(&[
            Flat::list("Entries", "DeleteMessageBatchRequestEntry"),
            Flat::list("Successful", "DeleteMessageBatchResultEntry"),
            FAILED,
        ]),
        Operation::new("DeleteQueue", rpc!(delete_queue::run)),
        Operation::new("GetQueueAttributes", rpc!(get_queue_attributes::run))
            .flat(&[ATTRIBUTE_NAMES, ATTRIBUTES]),
        Operation::new("GetQueueUrl", rpc!(get_queue_url::run)),
        Operation::new("ListDeadLetterSourceQueues", rpc!(list_dead_letter_source_queues::run))
            .flat(&[Flat::answer_list("queueUrls", "QueueUrl")]),
        Operation::new("ListMessageMoveTasks", rpc!(list_message_move_tasks::run))
            .flat(&[Flat::list("Results", "ListMessageMoveTasksResultEntry")]),
        Operation::new("ListQueueTags", rpc!(list_queue_tags::run)).flat(&[TAGS]),
        Operation::new("ListQueues", rpc!(list_queues::run)).flat(&[URLS]),
        Operation::new("PurgeQueue", rpc!(purge_queue::run)),
        Operation::new("ReceiveMessage", rpc!(receive_message::run)).flat(&[
            ATTRIBUTE_NAMES,
            Flat::list("MessageSystemAttributeNames", "MessageSystemAttributeName"),
            Flat::list("MessageAttributeNames", "MessageAttributeName"),
            Flat::list("Messages", "Message"),
            ATTRIBUTES,
            MESSAGE_ATTRIBUTES,
        ]),
        Operation::new("RemovePermission", rpc!(remove_permission::run)),
        Operation::new("SendMessage", rpc!(send_message::run)).flat(&[
            MESSAGE_ATTRIBUTES,
            SYSTEM_ATTRIBUTES,
            STRINGS,
            BINARIES,
        ]),
        Operation::new("SendMessageBatch", rpc!(send_message_batch::run)).flat(&[
            Flat::list("Entries", "SendMessageBatchRequestEntry"),
            Flat::list("Successful", "SendMessageBatchResultEntry"),
            FAILED,
            MESSAGE_ATTRIBUTES,
            SYSTEM_ATTRIBUTES,
            STRINGS,
            BINARIES,
        ]),
        Operation::new("SetQueueAttributes", rpc!(set_queue_attributes::run)).flat(&[ATTRIBUTES]),
        Operation::new("StartMessageMoveTask", rpc!(start_message_move_task::run)),
        Operation::new("TagQueue", rpc!(tag_queue::run)).flat(&[TAGS]),
        Operation::new("UntagQueue", rpc!(untag_queue::run)).flat(&[Flat::list("TagKeys", "TagKey")]),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_the_operations_that_there_are() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sqs.md");
        let page = std::fs::read_to_string(page).unwrap();
        let listed = page.split("<!-- operations -->").nth(1).unwrap();
        let expected = API.operations.iter().fold(String::from("\n"), |mut text, operation| {
            let state = if operation.run.is_some() { "supported" } else { "answers 501" };
            text += &format!("| `{}` | {state} |\n", operation.name);
            text
        });
        let rows = listed.replace("\n| operation | state |\n|---|---|", "");
        assert_eq!(rows, expected, "docs/sqs.md must list:\n{expected}");
    }
}
