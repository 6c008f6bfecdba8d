//! Which event runs next, where, and what follows.
//!
//! [`dispatch`] takes events as there is room; `flow` holds the life of one: claim, [`place`], run, [`settle`].
#![forbid(unsafe_code)]

pub mod dispatch;
mod flow;
pub mod housekeeping;
mod journal;
pub mod place;
mod record;
pub mod settle;

pub use dispatch::{Inside, Runner, Scheduler, Settings};
pub use place::{Capacity, Load};
