//! The operations of the Lambda API: the only list of them. A missing one answers 501 with its name.

use super::Lambda;
use super::error::{answer, settle};
use super::{
    add_permission, create_function, create_function_url_config, delete_function,
    delete_function_concurrency, delete_function_event_invoke_config, delete_function_url_config,
    get_account_settings, get_function, get_function_concurrency, get_function_configuration,
    get_function_event_invoke_config, get_function_url_config, get_policy, invoke,
    list_function_event_invoke_configs, list_function_url_configs, list_functions, list_tags,
    put_function_concurrency, put_function_event_invoke_config, remove_permission, tag_resource,
    untag_resource, update_function_code, update_function_configuration, update_function_event_invoke_config,
    update_function_url_config,
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
    Operation::missing(
        "AddLayerVersionPermission",
        Method::POST,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy",
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
    Operation::missing("CreateAlias", Method::POST, "/2015-03-31/functions/{FunctionName}/aliases"),
    Operation::missing("CreateCapacityProvider", Method::POST, "/2025-11-30/capacity-providers"),
    Operation::missing("CreateCodeSigningConfig", Method::POST, "/2020-04-22/code-signing-configs"),
    Operation::missing("CreateEventSourceMapping", Method::POST, "/2015-03-31/event-source-mappings"),
    Operation::new("CreateFunction", Method::POST, "/2015-03-31/functions", json!(201, create_function))
        .body_limit(limits::REQUEST_BODY),
    Operation::new(
        "CreateFunctionUrlConfig",
        Method::POST,
        "/2021-10-31/functions/{FunctionName}/url",
        json!(201, create_function_url_config),
    ),
    Operation::missing("DeleteAlias", Method::DELETE, "/2015-03-31/functions/{FunctionName}/aliases/{Name}"),
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
    Operation::missing(
        "DeleteEventSourceMapping",
        Method::DELETE,
        "/2015-03-31/event-source-mappings/{UUID}",
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
    Operation::missing(
        "DeleteLayerVersion",
        Method::DELETE,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}",
    ),
    Operation::missing(
        "DeleteProvisionedConcurrencyConfig",
        Method::DELETE,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
    ),
    Operation::new(
        "GetAccountSettings",
        Method::GET,
        "/2016-08-19/account-settings",
        json!(200, get_account_settings),
    ),
    Operation::missing("GetAlias", Method::GET, "/2015-03-31/functions/{FunctionName}/aliases/{Name}"),
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
    Operation::missing("GetEventSourceMapping", Method::GET, "/2015-03-31/event-source-mappings/{UUID}"),
    Operation::new(
        "GetFunction",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}",
        json!(200, get_function),
    ),
    Operation::missing(
        "GetFunctionCodeSigningConfig",
        Method::GET,
        "/2020-06-30/functions/{FunctionName}/code-signing-config",
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
    Operation::missing(
        "GetFunctionRecursionConfig",
        Method::GET,
        "/2024-08-31/functions/{FunctionName}/recursion-config",
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
    Operation::missing(
        "GetLayerVersion",
        Method::GET,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}",
    ),
    Operation::missing("GetLayerVersionByArn", Method::GET, "/2018-10-31/layers"),
    Operation::missing(
        "GetLayerVersionPolicy",
        Method::GET,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy",
    ),
    Operation::new(
        "GetPolicy",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/policy",
        json!(200, get_policy),
    ),
    Operation::missing(
        "GetProvisionedConcurrencyConfig",
        Method::GET,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
    ),
    Operation::missing(
        "GetRuntimeManagementConfig",
        Method::GET,
        "/2021-07-20/functions/{FunctionName}/runtime-management-config",
    ),
    Operation::new(
        "Invoke",
        Method::POST,
        "/2015-03-31/functions/{FunctionName}/invocations",
        reply!(invoke),
    )
    .body_limit(limits::SYNC_PAYLOAD),
    Operation::missing("InvokeAsync", Method::POST, "/2014-11-13/functions/{FunctionName}/invoke-async"),
    Operation::missing(
        "InvokeWithResponseStream",
        Method::POST,
        "/2021-11-15/functions/{FunctionName}/response-streaming-invocations",
    ),
    Operation::missing("ListAliases", Method::GET, "/2015-03-31/functions/{FunctionName}/aliases"),
    Operation::missing("ListCapacityProviders", Method::GET, "/2025-11-30/capacity-providers"),
    Operation::missing("ListCodeSigningConfigs", Method::GET, "/2020-04-22/code-signing-configs"),
    Operation::missing(
        "ListDurableExecutionsByFunction",
        Method::GET,
        "/2025-12-01/functions/{FunctionName}/durable-executions",
    ),
    Operation::missing("ListEventSourceMappings", Method::GET, "/2015-03-31/event-source-mappings"),
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
    Operation::missing("ListLayerVersions", Method::GET, "/2018-10-31/layers/{LayerName}/versions"),
    Operation::missing("ListLayers", Method::GET, "/2018-10-31/layers"),
    Operation::missing(
        "ListProvisionedConcurrencyConfigs",
        Method::GET,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
    ),
    Operation::new("ListTags", Method::GET, "/2017-03-31/tags/{Resource}", json!(200, list_tags)),
    Operation::missing(
        "ListVersionsByFunction",
        Method::GET,
        "/2015-03-31/functions/{FunctionName}/versions",
    ),
    Operation::missing("PublishLayerVersion", Method::POST, "/2018-10-31/layers/{LayerName}/versions"),
    Operation::missing("PublishVersion", Method::POST, "/2015-03-31/functions/{FunctionName}/versions"),
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
    Operation::missing(
        "PutFunctionRecursionConfig",
        Method::PUT,
        "/2024-08-31/functions/{FunctionName}/recursion-config",
    ),
    Operation::missing(
        "PutFunctionScalingConfig",
        Method::PUT,
        "/2025-11-30/functions/{FunctionName}/function-scaling-config",
    ),
    Operation::missing(
        "PutProvisionedConcurrencyConfig",
        Method::PUT,
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
    ),
    Operation::missing(
        "PutRuntimeManagementConfig",
        Method::PUT,
        "/2021-07-20/functions/{FunctionName}/runtime-management-config",
    ),
    Operation::missing(
        "RemoveLayerVersionPermission",
        Method::DELETE,
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}",
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
    Operation::missing("UpdateAlias", Method::PUT, "/2015-03-31/functions/{FunctionName}/aliases/{Name}"),
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
    Operation::missing("UpdateEventSourceMapping", Method::PUT, "/2015-03-31/event-source-mappings/{UUID}"),
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
        let got = Bench::new().get("/2015-03-31/functions/f/versions").await;
        got.refused(501, "NotImplemented", "ListVersionsByFunction");
    }

    #[test]
    fn the_page_for_users_lists_what_is_supported() {
        let page = include_str!("../../../../docs/lambda.md");
        for operation in OPERATIONS.iter().filter(|operation| operation.run.is_some()) {
            assert!(page.contains(operation.name), "{} is not in docs/lambda.md", operation.name);
        }
    }
}
