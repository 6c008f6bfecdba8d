//! Which event runs next, where, and what follows.
//!
//! [`flow`] holds the life of an event: claim, [`place`], run, [`settle`].
#![forbid(unsafe_code)]

pub mod flow;
pub mod housekeeping;
mod journal;
pub mod place;
pub mod settle;

pub use flow::{Inside, Runner, Scheduler, Settings};
pub use place::{Capacity, Load};
