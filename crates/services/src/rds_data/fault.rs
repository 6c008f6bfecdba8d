//! What went wrong, in the words and codes of the API.

use serde::de::IgnoredAny;
use store::sql::{Cluster, SqlError};
use uuid::Uuid;
use wire::Fault;

/// The shortest and the longest ARN, as the API's model has it.
const ARN_LEN: std::ops::RangeInclusive<usize> = 11..=100;

/// The cluster that a request is for. Any secret is taken: there is no password to check.
pub(super) fn cluster(resource_arn: &str, secret_arn: &str) -> Result<Cluster, Fault> {
    if !ARN_LEN.contains(&secret_arn.len()) {
        return Err(bad_request("secretArn must be the name or ARN of a secret, 11 to 100 characters long."));
    }
    Cluster::parse(resource_arn).map_err(fault)
}

/// AWS refuses the parameter `schema` too.
pub(super) fn refuse_schema(schema: Option<&IgnoredAny>) -> Result<(), Fault> {
    match schema {
        None => Ok(()),
        Some(_) => Err(Fault::new("ValidationException", 400, "The schema parameter isn't supported")),
    }
}

pub(super) fn bad_request(message: impl Into<String>) -> Fault {
    Fault::new("BadRequestException", 400, message)
}

/// The API's error for one of the store.
pub(super) fn fault(error: SqlError) -> Fault {
    let (code, status) = match &error {
        SqlError::Name(_)
        | SqlError::Unnamed
        | SqlError::Missing(_)
        | SqlError::Unused(_)
        | SqlError::Twice(_)
        | SqlError::Empty
        | SqlError::TextTooLong(_)
        | SqlError::OtherDatabase => ("BadRequestException", 400),
        SqlError::Multiple => ("ValidationException", 400),
        SqlError::Refused(_) | SqlError::Forbidden(_) | SqlError::TooLarge | SqlError::Running => {
            ("DatabaseErrorException", 400)
        }
        SqlError::Timeout(_) => ("StatementTimeoutException", 400),
        SqlError::NoTransaction(_) => ("TransactionNotFoundException", 404),
        SqlError::Full(_) => ("ServiceUnavailableError", 503),
        SqlError::Store(_) | SqlError::Broken => {
            let id = Uuid::new_v4();
            tracing::error!(%id, error = &error as &dyn std::error::Error, "an SQL call failed");
            return Fault::internal("InternalServerErrorException", id);
        }
    };
    Fault::new(code, status, error.to_string())
}
