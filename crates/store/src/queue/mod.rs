//! Events that wait for a process: two lanes, one shape.
//!
//! - The **synchronous lane** is a bounded queue in memory. Somebody waits for the answer, so there is nothing to
//!   keep when the program ends.
//! - The **durable lane** is a table. An event is accepted when its transaction commits, and leaves the table
//!   in the transaction that settles it; a crash in between runs it again.
//!
//! With the embedded engine one process owns the table, so a lease is an entry in memory: it ends with the
//! process, and a restart finds every unsettled event waiting again.

mod durable;
mod sync;

pub(crate) use durable::Leases;
pub use durable::{Claimed, FailedEvent, Lease};
pub use sync::{Answer, LaneFull, SyncLane, Throttled, Ticket, Unanswered, Waiting};
