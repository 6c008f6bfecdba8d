//! The part of the IAM API that tools need to deploy functions: roles and policies are kept, checked and answered. Nobody
//! is refused anything by them yet.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html>

mod awss_policies;
mod boundary;
mod check;
mod operations;
mod policies;
mod policy_versions;
mod record;
mod role_policies;
mod roles;
mod tags;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use std::sync::Arc;
use store::Store;
use wire::rpc::{dispatch, expired_response};
use wire::{Fault, Request, Response, Service};

pub use operations::API;

/// The IAM API on a store.
#[derive(Clone)]
pub struct Iam {
    store: Store,
}

impl Iam {
    /// The IAM API on `store`.
    pub fn new(store: Store) -> Self {
        Iam { store }
    }
}

impl Iam {
    /// What is answered to credentials whose time is over.
    pub fn expired(&self, request: &Request) -> Response {
        expired_response(&API, request)
    }
}

#[async_trait]
impl Service for Iam {
    async fn call(&self, request: Request) -> Response {
        dispatch(&API, Arc::new(self.clone()), request).await
    }
}

fn no_such(message: impl Into<String>) -> Fault {
    Fault::new("NoSuchEntity", 404, message)
}

fn exists(message: impl Into<String>) -> Fault {
    Fault::new("EntityAlreadyExists", 409, message)
}

fn in_use(message: impl Into<String>) -> Fault {
    Fault::new("DeleteConflict", 409, message)
}

/// What is answered to a change of one of AWS's own policies: no account may make it.
fn not_yours(operation: &str, arn: &str) -> Fault {
    let message = format!("User is not authorized to perform: iam:{operation} on resource: policy {arn}");
    Fault::new("AccessDenied", 403, message)
}

fn too_many(message: impl Into<String>) -> Fault {
    Fault::new("LimitExceeded", 409, message)
}
