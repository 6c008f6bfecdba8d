//! Runs real sandboxes and looks at what comes back, and at what is left.
//!
//! One program with a folder of its own, so that all tests share one launcher, as a server does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod fixture;
