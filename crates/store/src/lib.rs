//! Everything that rests or waits, behind one door.
//!
//! - [`kv`]: typed tables of versioned records, [`alias`] one of them; [`blob`]: bytes named by their content,
//!   [`small`]: few bytes beside the records; [`key`]: the installation's secret;
//!   [`queue`]: events that wait for a process; [`message`]: queues of messages; [`log`]: what functions printed;
//!   [`run`]: what their runs cost;
//!   [`rules`]: limits of functions, and what follows from their events;
//!   [`package`]: unpacked deployment packages; [`starts`]: how functions start now; [`sql`]: the users' own databases.
//! - [`Store::write`] is the only way to change state: one closure, one transaction, on disk when it returns.
//!
//! The engine here is SQLite with one writer thread and group commit, beside plain files for blobs.
#![forbid(unsafe_code)]

pub mod alias;
pub mod blob;
pub mod check;
mod engine;
mod error;
pub mod key;
pub mod kv;
mod lock;
pub mod log;
pub mod mapping;
pub mod message;
pub mod package;
pub mod queue;
pub mod rules;
pub mod run;
pub mod small;
mod specs;
pub mod sql;
pub mod starts;

pub use engine::{Store, Tx, View};
pub use error::{Error, Result};
