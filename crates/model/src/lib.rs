//! The words Mayfly speaks: ids and ARNs, events and their outcomes, functions, limits, time.
//!
//! Everything here is plain data. No room does I/O through this crate, and it imports no other room.
#![forbid(unsafe_code)]

pub mod arn;
pub mod clock;
pub mod event;
pub mod function;
pub mod limits;
pub mod metering;
pub mod outcome;

pub use arn::{ACCOUNT, FunctionArn, REGION};
pub use clock::{Clock, FakeClock, SystemClock, Timestamp};
pub use event::{Event, RequestId, Source};
pub use function::{CodeId, FunctionSpec};
pub use metering::{Metering, StartKind};
pub use outcome::{FunctionError, Outcome};
