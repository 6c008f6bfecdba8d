//! What an operation can fail with, and how that is answered.

use super::name::Named;
pub(super) use crate::error::Error;
use model::RequestId;
use serde::Serialize;
use wire::Fault;
use wire::rest_json::Reply;

/// The reply to the request `id`: the output as JSON, or the fault.
pub(super) fn answer<T: Serialize>(
    operation: &str,
    id: RequestId,
    status: u16,
    result: Result<T, Error>,
) -> Result<Reply, Fault> {
    Reply::json(status, &settle(operation, id, result)?)
}

/// As [`answer`], for an operation that makes its own reply.
pub(super) fn settle<T>(operation: &str, id: RequestId, result: Result<T, Error>) -> Result<T, Fault> {
    result.map_err(|error| error.told(operation, id, "ServiceException"))
}

/// A parameter has a value that cannot be.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValueException", 400, message)
}

/// What exists stands in the way.
pub(super) fn conflict(message: impl Into<String>) -> Fault {
    Fault::new("ResourceConflictException", 409, message)
}

/// Something named does not exist.
pub(super) fn not_found(message: impl Into<String>) -> Fault {
    Fault::new("ResourceNotFoundException", 404, message)
}

/// The function does not exist.
pub(super) fn no_function(named: &Named) -> Fault {
    not_found(format!("Function not found: {}", named.shown()))
}

/// Something of a function, such as its policy or its URL, does not exist.
pub(super) fn no_resource() -> Fault {
    not_found("The resource you requested does not exist.")
}

/// The revision that the caller knows is not the present one.
pub(super) fn stale_revision(get: &str) -> Fault {
    let message = format!(
        "The Revision Id provided does not match the latest Revision Id. Call the {get} API to retrieve the \
         latest Revision Id"
    );
    Fault::new("PreconditionFailedException", 412, message)
}
