//! Runs one job in an isolated process and returns its outcome.
//!
//! Two halves that speak over a socket. The **launcher** is a process of its own, single-threaded for its whole
//! life, and alone creates sandboxes: [`launcher::main`] is its entry, [`Launcher::spawn`] starts it before the
//! server has any thread. The **client** lives in the server: [`Sandbox::connect`] prepares the launcher once,
//! [`Sandbox::run`] carries one job from start to outcome. [`Sandbox::prepare`], [`Sandbox::template`] and
//! [`Sandbox::clone_of`] make processes that wait for their event, and [`Prepared::run`] gives it to them.
//!
//! Unsafe code is in `sys` only.
#![deny(unsafe_code)]

mod client;
mod control;
mod environment;
mod error;
mod features;
pub mod interpreters;
mod job;
pub mod launcher;
pub mod network;
mod runtimes;
#[allow(unsafe_code)]
mod sys;

pub use client::{Captured, Config, Original, Prepared, Sandbox, Template};
pub use error::Error;
pub use features::{Enforcement, Features};
pub use interpreters::{Choice, Interpreter, Interpreters};
pub use job::{Exit, Function, Hooks, Job, Line, Platform, Report};
pub use launcher::{Launcher, LauncherConfig};
pub use network::Network;
pub use runtimes::is_built_in;

use std::net::{Ipv4Addr, SocketAddrV4};

/// Where a function finds the platform's APIs: the same address inside every sandbox, in its own network
/// namespace. Whoever connects here is, by that alone, the function that runs in this sandbox.
pub const PLATFORM_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4566);

/// The function's own address, where it may reach the internet. Nobody outside ever sees it, and it hides nobody:
/// link-local addresses are not routed.
pub const FUNCTION_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);

/// Where a function asks for names, where it may reach the internet; the host's name servers answer.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 53);
/// Where a custom runtime finds the Lambda Runtime API, under every network policy: the same address inside every
/// sandbox, because some clients settle on it before their function is loaded.
pub const RUNTIME_API_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9001);
