//! Runs real sandboxes and looks at what comes back, and at what is left.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
#[allow(dead_code, reason = "the other test program uses all of it")]
mod census;
mod channel;
mod continuity;
mod copies;
mod custom;
mod escapes;
mod fixture;
mod leftovers;
mod limits;
mod logging;
mod network;
mod ordinary;
mod prepared;
mod refusals;
mod rootless;
