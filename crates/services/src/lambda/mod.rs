//! The Lambda API: functions, their code and configuration, and calls to them.
//!
//! A function's record, its [`model::FunctionSpec`] that the scheduler runs, and the link to its zip change in one
//! transaction. Its package is unpacked before that, so that a function that exists can run.

mod busy;
mod code;
#[cfg(test)]
mod coverage;
mod endpoint;
mod error;
mod event_rules;
mod function;
mod layer;
mod logging_config;
mod mapping;
mod name;
mod network;
mod operations;
mod policy;
mod refusal;
mod settings;
mod start;
mod sweep;
#[cfg(test)]
mod testing;
mod url;
mod validate;

mod alias;
mod provisioned;

mod add_permission;
mod create_alias;
mod create_event_source_mapping;
mod create_function;
mod create_function_url_config;
mod delete_alias;
mod delete_event_source_mapping;
mod delete_function;
mod delete_function_concurrency;
mod delete_function_event_invoke_config;
mod delete_function_url_config;
mod delete_provisioned_concurrency_config;
mod get_account_settings;
mod get_alias;
mod get_event_source_mapping;
mod get_function;
mod get_function_code_signing_config;
mod get_function_concurrency;
mod get_function_configuration;
mod get_function_event_invoke_config;
mod get_function_url_config;
mod get_policy;
mod get_provisioned_concurrency_config;
mod invoke;
mod invoke_async;
mod invoke_with_response_stream;
mod list_aliases;
mod list_event_source_mappings;
mod list_function_event_invoke_configs;
mod list_function_url_configs;
mod list_functions;
mod list_tags;
mod list_versions_by_function;
mod publish_version;
mod put_function_concurrency;
mod put_function_event_invoke_config;
mod put_provisioned_concurrency_config;
mod recursion_config;
mod remove_permission;
mod runtime_management_config;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_event_source_mapping;
mod update_function_code;
mod update_function_configuration;
mod update_function_event_invoke_config;
mod update_function_url_config;

pub use endpoint::Endpoint;
pub use get_function::CODE_PATH;
pub use operations::OPERATIONS;
pub use url::FunctionUrls;

use async_trait::async_trait;
use busy::Busy;
use function::{Function, Phase};
use model::{NetworkPolicy, Runtimes};
use serde_json::Value;
use std::sync::Arc;
use store::Store;
use wire::{Request, Response, Service, rest_json};

/// The Lambda API on a store. Clones share everything.
#[derive(Clone)]
pub struct Lambda {
    store: Store,
    /// The runtimes that this machine has.
    runtimes: Runtimes,
    endpoint: Endpoint,
    /// No function may reach more than this.
    most: NetworkPolicy,
    /// The functions that are being changed.
    busy: Busy,
}

impl Lambda {
    /// The Lambda API on `store`; functions may have one of `runtimes` and reach `most` at the most, and clients
    /// reach the server at `endpoint`.
    pub fn new(store: Store, runtimes: Runtimes, endpoint: Endpoint, most: NetworkPolicy) -> Arc<Self> {
        Arc::new(Lambda { store, runtimes, endpoint, most, busy: Busy::default() })
    }
}

impl Lambda {
    /// The configuration of a function that nobody is changing, with what is known of copies of its processes.
    fn shown(&self, function: &Function, arn: &str) -> Value {
        let shown = function.configuration(arn, Phase::Ready, &self.runtimes);
        function::with_copies(shown, self.store.starts().get(&function.spec.arn))
    }
}

#[async_trait]
impl Service for Lambda {
    async fn call(&self, request: Request) -> Response {
        rest_json::dispatch(OPERATIONS, Arc::new(self.clone()), request).await
    }
}
