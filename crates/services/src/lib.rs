//! What each AWS call means: a request's typed input becomes a change of state, and events that follow from it.
//!
//! One module per service, one file per operation; no module reaches into another. What services share
//! lies in a module of its own: [`object`], and what stops an operation.
#![forbid(unsafe_code)]

mod error;
pub mod iam;
pub mod lambda;
pub mod logs;
pub mod object;
pub mod rds_data;
pub mod s3;
pub mod sqs;
pub mod sts;
