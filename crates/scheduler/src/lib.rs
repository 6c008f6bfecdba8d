//! Which event runs next, where, and what follows.
//!
//! [`dispatch`] takes events as there is room, in the order of [`turns`]; `flow` holds the life of one: claim, [`place`], run, [`settle`]. What
//! waits ahead of events is in [`ahead`].
#![forbid(unsafe_code)]

pub mod ahead;
pub mod destination;
pub mod dispatch;
mod flow;
pub mod housekeeping;
mod journal;
mod latency;
mod ledger;
pub mod place;
mod record;
pub mod runner;
pub mod settle;
pub mod sources;
pub mod turns;

pub use ahead::{Bounds, State};
pub use dispatch::{Inside, Processors, Scheduler, Settings};
pub use latency::{Latency, Quantiles};
pub use place::{Capacity, Load};
pub use runner::Runner;
pub use turns::pace::Ticks;
