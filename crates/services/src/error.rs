//! What stops an operation: the caller's fault, or one of the store. S3 and the RDS Data API have errors of their own.

use model::RequestId;
use wire::Fault;

/// Why an operation did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Error {
    /// The caller's fault.
    Fault(Fault),
    /// Ours.
    Store(store::Error),
}

impl Error {
    /// What the caller is told in answer to the request `id`; our own errors are logged here, once. `internal` is the
    /// service's code for what is not the caller's fault, `ServiceUnavailable` one that all services have
    /// (<https://docs.aws.amazon.com/awssupport/latest/APIReference/CommonErrors.html>).
    pub(crate) fn told(self, operation: &str, id: RequestId, internal: &'static str) -> Fault {
        match self {
            Error::Fault(fault) => fault,
            Error::Store(error) if error.is_disk_full() => {
                tracing::warn!(%id, operation, error = &error as &dyn std::error::Error, "the disk is full");
                let message = "The server's disk is full: nothing was changed. It works again when space has been made.";
                Fault::new("ServiceUnavailable", 503, message)
            }
            Error::Store(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%id, operation, error, "cannot serve a request");
                Fault::internal(internal, id)
            }
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(fault)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Store(error)
    }
}
