//! `DeleteFunctionConcurrency`: nothing is reserved for a function any more.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionConcurrency.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use store::rules::RESERVED;
use wire::rest_json::Call;

/// Frees what was reserved, if anything was.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let written = lambda.store.write(move |tx| {
        Function::load(tx, &named)?;
        Ok::<_, Error>(tx.delete(&RESERVED, named.arn.as_str()).map(drop)?)
    });
    written.await
}
