//! The operations of the Lambda API: the only list of them. A missing one answers 501 with its name.

use super::Lambda;
use super::error::{answer, settle};
use super::{
    add_permission, create_alias, create_event_source_mapping, create_function, create_function_url_config,
    delete_alias, delete_event_source_mapping, delete_function, delete_function_concurrency,
    delete_function_event_invoke_config, delete_function_url_config, delete_provisioned_concurrency_config,
    get_account_settings, get_alias, get_event_source_mapping, get_function,
    get_function_code_signing_config, get_function_concurrency, get_function_configuration,
    get_function_event_invoke_config, get_function_url_config, get_policy,
    get_provisioned_concurrency_config, invoke, invoke_async, invoke_with_response_stream, layer,
    list_aliases, list_event_source_mappings, list_function_event_invoke_configs, list_function_url_configs,
    list_functions, list_tags, list_versions_by_function, publish_version, put_function_concurrency,
    put_function_event_invoke_config, put_provisioned_concurrency_config, recursion_config,
    remove_permission, runtime_management_config, tag_resource, untag_resource, update_alias,
    update_event_source_mapping, update_function_code, update_function_configuration,
    update_function_event_invoke_config, update_function_url_config,
};
use http::Method;
use model::limits;
use wire::rest_json::Operation;

/// An operation that answers its output as JSON.
macro_rules! json {
    ($status:literal, $operation:ident) => {
        |lambda, call| {
            Box::pin(async move {
                let (name, id) = (call.operation, call.id);
                answer(name, id, $status, $operation::run(&lambda, call).await)
            })
        }
    };
}

/// The same, by the function that runs it.
macro_rules! run {
    ($status:literal, $run:path) => {
        |lambda, call| {
            Box::pin(async move {
                let (name, id) = (call.operation, call.id);
                answer(name, id, $status, $run(&lambda, call).await)
            })
        }
    };
}

/// An operation that makes its own reply.
macro_rules! reply {
    ($operation:ident) => {
        |lambda, call| {
            Box::pin(async move {
                let (name, id) = (call.operation, call.id);
                settle(name, id, $operation::run(&lambda, call).await)
            })
        }
    };
}

/// Every operation that AWS has.
pub const OPERATIONS: &[Operation<Lambda>] = &[
    Operation::new(
        "AddLayerVersionPermission",
        Method::POST,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy",
        run!(201, layer::add_layer_version_permission::run),
    ),
    Operation::new(
        "AddPermission",
        Method::POST,
        "/2015-03-31/functions/{FunctionName}/policy",
        json!(201, add_permission),
    ),
    Operation::missing(
        "CheckpointDurableExecution",
        Method::POST,
        "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint",
    ),
    Operation::new(
        "CreateAlias",
        Method::POST,
        "/2015-03-31/functions/{FunctionName}/aliases",
        json!(201, create_alias),
    ),
    Operation::missing("CreateCapacityProvider", Method::POST, "/2025-11-30/capacity-providers"),
    Operation::missing("CreateCodeSigningConfig", Method::POST, "/2020-04-22/code-signing-configs"),
    Operation::new(
        "CreateEventSourceMapping",
        Method::POST,
        "/2015-03-31/event-source-mappings",
        json!(202, create_event_source_mapping),
    ),
    Operation::new("CreateFunction", Method::POST, "/2015-03-31/functions", json!(201, create_function))
        .body_limit(limits::REQUEST_BODY),
    Operation::new(
        "CreateFunctionUrlConfig",
        Method::POST,
        "/2021-10-31/functions/{FunctionName}/url",
        json!(201, create_function_url_config),
    ),
    Operation::new(
        "DeleteAlias",
        Method::DELETE,
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        json!(204, delete_alias),
    ),
    Operation::missing(
        "DeleteCapacityProvider",
        Method::DELETE,
        "/2025-11-30/capacity-providers/{CapacityProviderName}",
    ),
    Operation::missing(
        "DeleteCodeSigningConfig",
        Method::DELETE,
        "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}",
    ),
    Operation::new(
        "DeleteEventSourceMapping",
        Method::DELETE,
        "/2015-03-31/event-source-mappings/{UUID}",
        json!(202, delete_event_source_mapping),
    ),
    Operation::new(
        "DeleteFunction",
        Method::DELETE,
        "/2015-03-31/functions/{FunctionName}",
        json!(204, delete_function),
    ),
    Operation::missing(
        "DeleteFunctionCodeSigningConfig",
        Method::DELETE,
        "/2020-06-30/functions/{FunctionName}/code-signing-config",
    ),
    Operation::new(
        "DeleteFunctionConcurrency",
        Method::DELETE,
        "/2017-10-31/functions/{FunctionName}/concurrency",
        json!(204, delete_function_concurrency),
    ),
    Operation::new(
        "DeleteFunctionEventInvokeConfig",
        Method::DELETE,
        "/2019-09-25/functions/{FunctionName}/event-invoke-config",
        json!(204, delete_function_event_invoke_config),
    ),
    Operation::new(
        "DeleteFunctionUrlConfig",
        Method::DELETE,
        "/2021-10-31/functions/{FunctionName}/url",
        json!(204, delete_function_url_config),
    ),
    Operation::new(
        "DeleteLayerVersion",
        Method::DELETE,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}",
        run!(204, layer::delete_layer_version::run),
    ),
    Operation::new(
        "DeleteProvisionedConcurrencyConfig",
        Method::DELETE,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        json!(204, delete_provisioned_concurrency_config),
    ),
    Operation::new(
        "GetAccountSettings",
        Method::GET,
        "/2016-08-19/account-settings",
        json!(200, get_account_settings),
    ),
    Operation::new(
        "GetAlias",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        json!(200, get_alias),
    ),
    Operation::missing(
        "GetCapacityProvider",
        Method::GET,
        "/2025-11-30/capacity-providers/{CapacityProviderName}",
    ),
    Operation::missing(
        "GetCodeSigningConfig",
        Method::GET,
        "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}",
    ),
    Operation::missing(
        "GetDurableExecution",
        Method::GET,
        "/2025-12-01/durable-executions/{DurableExecutionArn}",
    ),
    Operation::missing(
        "GetDurableExecutionHistory",
        Method::GET,
        "/2025-12-01/durable-executions/{DurableExecutionArn}/history",
    ),
    Operation::missing(
        "GetDurableExecutionState",
        Method::GET,
        "/2025-12-01/durable-executions/{DurableExecutionArn}/state",
    ),
    Operation::new(
        "GetEventSourceMapping",
        Method::GET,
        "/2015-03-31/event-source-mappings/{UUID}",
        json!(200, get_event_source_mapping),
    ),
    Operation::new(
        "GetFunction",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}",
        json!(200, get_function),
    ),
    Operation::new(
        "GetFunctionCodeSigningConfig",
        Method::GET,
        "/2020-06-30/functions/{FunctionName}/code-signing-config",
        json!(200, get_function_code_signing_config),
    ),
    Operation::new(
        "GetFunctionConcurrency",
        Method::GET,
        "/2019-09-30/functions/{FunctionName}/concurrency",
        json!(200, get_function_concurrency),
    ),
    Operation::new(
        "GetFunctionConfiguration",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/configuration",
        json!(200, get_function_configuration),
    ),
    Operation::new(
        "GetFunctionEventInvokeConfig",
        Method::GET,
        "/2019-09-25/functions/{FunctionName}/event-invoke-config",
        json!(200, get_function_event_invoke_config),
    ),
    Operation::new(
        "GetFunctionRecursionConfig",
        Method::GET,
        "/2024-08-31/functions/{FunctionName}/recursion-config",
        run!(200, recursion_config::get),
    ),
    Operation::missing(
        "GetFunctionScalingConfig",
        Method::GET,
        "/2025-11-30/functions/{FunctionName}/function-scaling-config",
    ),
    Operation::new(
        "GetFunctionUrlConfig",
        Method::GET,
        "/2021-10-31/functions/{FunctionName}/url",
        json!(200, get_function_url_config),
    ),
    Operation::new(
        "GetLayerVersion",
        Method::GET,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}",
        run!(200, layer::get_layer_version::run),
    ),
    Operation::new(
        "GetLayerVersionByArn",
        Method::GET,
        "/2018-10-31/layers",
        run!(200, layer::list_layers::run),
    ),
    Operation::new(
        "GetLayerVersionPolicy",
        Method::GET,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy",
        run!(200, layer::get_layer_version_policy::run),
    ),
    Operation::new(
        "GetPolicy",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/policy",
        json!(200, get_policy),
    ),
    Operation::new(
        "GetProvisionedConcurrencyConfig",
        Method::GET,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        json!(200, get_provisioned_concurrency_config),
    ),
    Operation::new(
        "GetRuntimeManagementConfig",
        Method::GET,
        "/2021-07-20/functions/{FunctionName}/runtime-management-config",
        run!(200, runtime_management_config::get),
    ),
    Operation::new(
        "Invoke",
        Method::POST,
        "/2015-03-31/functions/{FunctionName}/invocations",
        reply!(invoke),
    )
    .body_limit(limits::SYNC_PAYLOAD),
    Operation::new(
        "InvokeAsync",
        Method::POST,
        "/2014-11-13/functions/{FunctionName}/invoke-async",
        json!(202, invoke_async),
    ),
    Operation::new(
        "InvokeWithResponseStream",
        Method::POST,
        "/2021-11-15/functions/{FunctionName}/response-streaming-invocations",
        reply!(invoke_with_response_stream),
    )
    .body_limit(limits::SYNC_PAYLOAD),
    Operation::new(
        "ListAliases",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/aliases",
        json!(200, list_aliases),
    ),
    Operation::missing("ListCapacityProviders", Method::GET, "/2025-11-30/capacity-providers"),
    Operation::missing("ListCodeSigningConfigs", Method::GET, "/2020-04-22/code-signing-configs"),
    Operation::missing(
        "ListDurableExecutionsByFunction",
        Method::GET,
        "/2025-12-01/functions/{FunctionName}/durable-executions",
    ),
    Operation::new(
        "ListEventSourceMappings",
        Method::GET,
        "/2015-03-31/event-source-mappings",
        json!(200, list_event_source_mappings),
    ),
    Operation::new(
        "ListFunctionEventInvokeConfigs",
        Method::GET,
        "/2019-09-25/functions/{FunctionName}/event-invoke-config/list",
        json!(200, list_function_event_invoke_configs),
    ),
    Operation::new(
        "ListFunctionUrlConfigs",
        Method::GET,
        "/2021-10-31/functions/{FunctionName}/urls",
        json!(200, list_function_url_configs),
    ),
    Operation::missing(
        "ListFunctionVersionsByCapacityProvider",
        Method::GET,
        "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions",
    ),
    Operation::new("ListFunctions", Method::GET, "/2015-03-31/functions", json!(200, list_functions)),
    Operation::missing(
        "ListFunctionsByCodeSigningConfig",
        Method::GET,
        "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions",
    ),
    Operation::new(
        "ListLayerVersions",
        Method::GET,
        "/2018-10-31/layers/{LayerName}/versions",
        run!(200, layer::list_layer_versions::run),
    ),
    Operation::new("ListLayers", Method::GET, "/2018-10-31/layers", run!(200, layer::list_layers::run)),
    Operation::new(
        "ListProvisionedConcurrencyConfigs",
        Method::GET,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        json!(200, get_provisioned_concurrency_config),
    ),
    Operation::new("ListTags", Method::GET, "/2017-03-31/tags/{Resource}", json!(200, list_tags)),
    Operation::new(
        "ListVersionsByFunction",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/versions",
        json!(200, list_versions_by_function),
    ),
    Operation::new(
        "PublishLayerVersion",
        Method::POST,
        "/2018-10-31/layers/{LayerName}/versions",
        run!(201, layer::publish_layer_version::run),
    )
    .body_limit(limits::REQUEST_BODY),
    Operation::new(
        "PublishVersion",
        Method::POST,
        "/2015-03-31/functions/{FunctionName}/versions",
        json!(201, publish_version),
    ),
    Operation::missing(
        "PutFunctionCodeSigningConfig",
        Method::PUT,
        "/2020-06-30/functions/{FunctionName}/code-signing-config",
    ),
    Operation::new(
        "PutFunctionConcurrency",
        Method::PUT,
        "/2017-10-31/functions/{FunctionName}/concurrency",
        json!(200, put_function_concurrency),
    ),
    Operation::new(
        "PutFunctionEventInvokeConfig",
        Method::PUT,
        "/2019-09-25/functions/{FunctionName}/event-invoke-config",
        json!(200, put_function_event_invoke_config),
    ),
    Operation::new(
        "PutFunctionRecursionConfig",
        Method::PUT,
        "/2024-08-31/functions/{FunctionName}/recursion-config",
        run!(200, recursion_config::put),
    ),
    Operation::missing(
        "PutFunctionScalingConfig",
        Method::PUT,
        "/2025-11-30/functions/{FunctionName}/function-scaling-config",
    ),
    Operation::new(
        "PutProvisionedConcurrencyConfig",
        Method::PUT,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        json!(202, put_provisioned_concurrency_config),
    ),
    Operation::new(
        "PutRuntimeManagementConfig",
        Method::PUT,
        "/2021-07-20/functions/{FunctionName}/runtime-management-config",
        run!(200, runtime_management_config::put),
    ),
    Operation::new(
        "RemoveLayerVersionPermission",
        Method::DELETE,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}",
        run!(204, layer::remove_layer_version_permission::run),
    ),
    Operation::new(
        "RemovePermission",
        Method::DELETE,
        "/2015-03-31/functions/{FunctionName}/policy/{StatementId}",
        json!(204, remove_permission),
    ),
    Operation::missing(
        "SendDurableExecutionCallbackFailure",
        Method::POST,
        "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail",
    ),
    Operation::missing(
        "SendDurableExecutionCallbackHeartbeat",
        Method::POST,
        "/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat",
    ),
    Operation::missing(
        "SendDurableExecutionCallbackSuccess",
        Method::POST,
        "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed",
    ),
    Operation::missing(
        "StopDurableExecution",
        Method::POST,
        "/2025-12-01/durable-executions/{DurableExecutionArn}/stop",
    ),
    Operation::new("TagResource", Method::POST, "/2017-03-31/tags/{Resource}", json!(204, tag_resource)),
    Operation::new(
        "UntagResource",
        Method::DELETE,
        "/2017-03-31/tags/{Resource}",
        json!(204, untag_resource),
    ),
    Operation::new(
        "UpdateAlias",
        Method::PUT,
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        json!(200, update_alias),
    ),
    Operation::missing(
        "UpdateCapacityProvider",
        Method::PUT,
        "/2025-11-30/capacity-providers/{CapacityProviderName}",
    ),
    Operation::missing(
        "UpdateCodeSigningConfig",
        Method::PUT,
        "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}",
    ),
    Operation::new(
        "UpdateEventSourceMapping",
        Method::PUT,
        "/2015-03-31/event-source-mappings/{UUID}",
        json!(202, update_event_source_mapping),
    ),
    Operation::new(
        "UpdateFunctionCode",
        Method::PUT,
        "/2015-03-31/functions/{FunctionName}/code",
        json!(200, update_function_code),
    )
    .body_limit(limits::REQUEST_BODY),
    Operation::new(
        "UpdateFunctionConfiguration",
        Method::PUT,
        "/2015-03-31/functions/{FunctionName}/configuration",
        json!(200, update_function_configuration),
    ),
    Operation::new(
        "UpdateFunctionEventInvokeConfig",
        Method::POST,
        "/2019-09-25/functions/{FunctionName}/event-invoke-config",
        json!(200, update_function_event_invoke_config),
    ),
    Operation::new(
        "UpdateFunctionUrlConfig",
        Method::PUT,
        "/2021-10-31/functions/{FunctionName}/url",
        json!(200, update_function_url_config),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::testing::Bench;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn every_operation_stands_once_and_a_missing_one_says_its_name() {
        let names: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        let got = Bench::new().get("/2025-11-30/capacity-providers").await;
        got.refused(501, "NotImplemented", "ListCapacityProviders");
    }
}
