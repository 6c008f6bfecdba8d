//! The words Mayfly speaks: ids and ARNs, events and their outcomes, functions, limits, time.
//!
//! Everything here is plain data. No room does I/O through this crate, and it imports no other room.
#![forbid(unsafe_code)]

pub mod arn;
pub mod clock;
pub mod event;
pub mod function;
mod histogram;
pub mod limits;
mod lineage;
pub mod logging;
pub mod metering;
pub mod outcome;
pub mod pattern;
pub mod runtime;
pub mod stream;

pub use arn::{ACCOUNT, FunctionArn, LATEST, REGION, Scope};
pub use clock::{Clock, FakeClock, SystemClock, Timestamp};
pub use event::{Event, RequestId, Source};
pub use function::{CodeId, FunctionSpec, NetworkPolicy, StartMode};
pub use histogram::Histogram;
pub use lineage::Lineage;
pub use logging::{LogFormat, LogLevel, Logging};
pub use metering::{Metering, Run, RunStatus, StartKind};
pub use outcome::{FunctionError, Outcome};
pub use pattern::Pattern;
pub use runtime::{Chosen, Installed, Language, NotAvailable, Runtimes, Wanted};
pub use stream::Part;
