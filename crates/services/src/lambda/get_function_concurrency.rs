//! `GetFunctionConcurrency`: what is reserved for a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConcurrency.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use super::put_function_concurrency::Output;
use store::rules::RESERVED;
use wire::rest_json::Call;

/// Shows what is reserved.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    lambda.store.read(|view| {
        Function::load(view, &named)?;
        let reserved = view.get(&RESERVED, named.arn.as_str())?;
        Ok(Output { reserved_concurrent_executions: reserved.map(|reserved| reserved.executions) })
    })
}
