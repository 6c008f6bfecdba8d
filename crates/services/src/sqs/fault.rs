//! The errors of SQS: their names in JSON, their older names in the query protocol, and AWS's words.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html> and each operation's page

pub(super) use crate::error::Error;
use wire::Fault;

/// What the query protocol, and the header that stands for it in JSON, call an error.
pub(super) fn query_code(code: &str) -> &str {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists" => "QueueAlreadyExists",
        "QueueDeletedRecently" => "AWS.SimpleQueueService.QueueDeletedRecently",
        "PurgeQueueInProgress" => "AWS.SimpleQueueService.PurgeQueueInProgress",
        "MessageNotInflight" => "AWS.SimpleQueueService.MessageNotInflight",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "BatchRequestTooLong" => "AWS.SimpleQueueService.BatchRequestTooLong",
        "InvalidBatchEntryId" => "AWS.SimpleQueueService.InvalidBatchEntryId",
        "UnsupportedOperation" => "AWS.SimpleQueueService.UnsupportedOperation",
        "InvalidParameterValueException" => "InvalidParameterValue",
        "MissingRequiredParameterException" => "MissingParameter",
        "AccessDeniedException" => "AccessDenied",
        other => other,
    }
}

/// A fault of the caller.
pub(super) fn fault(code: &'static str, message: impl Into<String>) -> Fault {
    Fault::new(code, 400, message)
}

/// A parameter that is wrong in itself.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    fault("InvalidParameterValueException", message)
}

/// A parameter whose value is wrong, and why.
pub(super) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Fault {
    invalid(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

pub(super) fn missing(parameter: &str) -> Fault {
    fault("MissingRequiredParameterException", format!("The request must contain the parameter {parameter}."))
}

pub(super) fn unknown_attribute(name: &str) -> Fault {
    fault("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

pub(super) fn bad_attribute(name: &str) -> Fault {
    fault("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

pub(super) fn no_queue() -> Fault {
    fault("QueueDoesNotExist", "The specified queue does not exist.")
}

pub(super) fn bad_handle(handle: &str) -> Fault {
    fault(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
}
