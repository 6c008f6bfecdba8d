//! Bytes to typed operations and back.
//!
//! A connection's bytes become a [`Request`], [`route`] names the service it is for, the service's table of
//! operations decodes it into a typed input, and what comes back is encoded the way AWS does. A caller's
//! mistake becomes a [`Fault`] here or in a service, and is answered in the protocol that it came in.
#![forbid(unsafe_code)]

pub mod aws_chunked;
pub mod body;
pub mod credential;
pub mod event_stream;
mod fault;
mod idle;
pub mod request;
pub mod rest_json;
pub mod route;
pub mod rpc;
pub mod server;
pub mod session;
mod unread;

pub use body::Body;
pub use fault::Fault;
pub use request::{Caller, Request, Response, Service, account_of_key, is_account};
