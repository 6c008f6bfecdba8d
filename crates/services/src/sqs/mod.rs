//! SQS: queues of messages, on the store's.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

mod add_permission;
mod attempts;
mod attributes;
mod batch;
mod cancel_message_move_task;
mod change_message_visibility;
mod change_message_visibility_batch;
mod create_queue;
mod delete_message;
mod delete_message_batch;
mod delete_queue;
mod fault;
mod get_queue_attributes;
mod get_queue_url;
mod list_dead_letter_source_queues;
mod list_message_move_tasks;
mod list_queue_tags;
mod list_queues;
mod message;
mod operations;
mod page;
mod purge_queue;
mod receive_message;
mod redrive;
mod remove_permission;
mod send_message;
mod send_message_batch;
mod set_queue_attributes;
mod start_message_move_task;
mod tag_queue;
mod target;
mod untag_queue;

pub use operations::API;

use async_trait::async_trait;
use attempts::Attempts;
use fault::Error;
use model::limits;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx, View};
use wire::rpc::{Call, dispatch, expired_response};
use wire::{Fault, Request, Response, Service};

/// SQS.
#[derive(Clone)]
pub struct Sqs {
    store: Store,
    attempts: Arc<Attempts>,
    pauses: Pauses,
}

/// How long queues rest after what AWS allows once a minute only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Between deleting a queue and creating one of its name.
    pub recreate: Duration,
    /// Between purging a queue and purging it again.
    pub purge: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { recreate: limits::SQS_RECREATE, purge: limits::SQS_PURGE }
    }
}

impl Sqs {
    /// SQS on the queues of `store`.
    pub fn new(store: Store, pauses: Pauses) -> Self {
        Sqs { store, attempts: Arc::default(), pauses }
    }

    async fn write<T: Send + 'static>(
        &self,
        call: &Call,
        work: impl FnOnce(&Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Fault> {
        self.store.write(work).await.map_err(|error| told(error, call))
    }

    fn read<T>(&self, call: &Call, work: impl FnOnce(&View<'_>) -> Result<T, Error>) -> Result<T, Fault> {
        self.store.read(work).map_err(|error| told(error, call))
    }
}

impl Sqs {
    /// What is answered to credentials whose time is over.
    pub fn expired(&self, request: &Request) -> Response {
        expired_response(&API, request)
    }
}

#[async_trait]
impl Service for Sqs {
    async fn call(&self, request: Request) -> Response {
        dispatch(&API, Arc::new(self.clone()), request).await
    }
}

fn told(error: Error, call: &Call) -> Fault {
    error.told(call.operation, call.id, "InternalFailure")
}
