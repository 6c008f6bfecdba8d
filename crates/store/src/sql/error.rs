//! What can go wrong with a statement: the caller's mistakes by kind, and the store's own faults apart.

use super::session::Watch;
use crate::Error;
use rusqlite::ErrorCode;

/// Why an SQL call failed. All but [`SqlError::Store`] and [`SqlError::Broken`] are for the caller to mend.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// A cluster or database cannot have this name.
    #[error("{0}")]
    Name(String),
    /// The database refused the statement; these are its words.
    #[error("{0}")]
    Refused(String),
    /// The statement tries what no statement may.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no statement in the text.
    #[error("The SQL text holds no statement.")]
    Empty,
    /// There is more than one statement in the text.
    #[error("Multistatements aren't supported.")]
    Multiple,
    /// The text is longer than it may be.
    #[error("The SQL text is longer than {0} bytes; pass values as parameters.")]
    TextTooLong(usize),
    /// A placeholder is not of the form `:name`.
    #[error("Only named parameters such as :name are supported.")]
    Unnamed,
    /// The statement has a placeholder that no parameter fills.
    #[error("Cannot find parameter: {0}")]
    Missing(String),
    /// A parameter fits no placeholder of the statement.
    #[error("The statement has no placeholder :{0} for the parameter of that name.")]
    Unused(String),
    /// Two parameters have the same name.
    #[error("The parameter {0} is given twice.")]
    Twice(String),
    /// The result is larger than an answer may be.
    #[error("Database returned more than the allowed response size limit")]
    TooLarge,
    /// The call ran out of time.
    #[error("{0}")]
    Timeout(&'static str),
    /// There is no open transaction of this id.
    #[error("Transaction {0} is not found: it has ended, or rested for more than three minutes.")]
    NoTransaction(String),
    /// The transaction belongs to another database.
    #[error("Database name is not the same as transaction's")]
    OtherDatabase,
    /// Another call uses the transaction at this time.
    #[error("Transaction is still running a query")]
    Running,
    /// A bound of the installation is reached.
    #[error("{0}")]
    Full(&'static str),
    /// A fault of the store.
    #[error(transparent)]
    Store(#[from] Error),
    /// A statement's thread broke off.
    #[error("the thread of a statement broke off")]
    Broken,
}

impl SqlError {
    /// Sorts an error of SQLite: the caller's, or ours.
    pub(super) fn of(error: rusqlite::Error, watch: &Watch) -> Self {
        if let Some(reason) = watch.take_refusal() {
            return SqlError::Forbidden(reason);
        }
        match error {
            rusqlite::Error::MultipleStatement => SqlError::Multiple,
            rusqlite::Error::SqlInputError { msg, .. } => SqlError::Refused(msg),
            rusqlite::Error::NulError(_) => SqlError::Refused("the SQL text has a zero byte".into()),
            rusqlite::Error::SqliteFailure(failure, ref message) => match failure.code {
                ErrorCode::OperationInterrupted => SqlError::Timeout("The statement timed out."),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    SqlError::Timeout("The database was in use for too long.")
                }
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::ApiMisuse
                | ErrorCode::ReadOnly => SqlError::Store(error.into()),
                _ => SqlError::Refused(message.clone().unwrap_or_else(|| failure.to_string())),
            },
            other => SqlError::Store(other.into()),
        }
    }
}
