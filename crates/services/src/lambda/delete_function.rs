//! `DeleteFunction`: a function goes, and with it its policy, its URL and the events that wait for it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::{ABOUT, Function};
use super::name::Named;
use super::policy::POLICIES;
use super::url::record::{URL_OF, URLS};
use store::kv::SPECS;
use wire::rest_json::Call;

/// Deletes a function. Its unpacked code stays for runs that are under way and goes with the next sweep.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::parse(call.label("FunctionName"), call.query("Qualifier"))?;
    if named.qualifier.is_some() {
        return Err(invalid("$LATEST version cannot be deleted without deleting the function.").into());
    }
    let zip = lambda
        .store
        .write(move |tx| {
            let function = Function::load(tx, &named)?;
            let (arn, name) = (named.arn.as_str(), named.arn.name());
            tx.delete(&ABOUT, arn)?;
            tx.delete(&SPECS, arn)?;
            tx.delete(&POLICIES, arn)?;
            if let Some(url) = tx.get(&URL_OF, name)? {
                tx.delete(&URLS, &url.0)?;
                tx.delete(&URL_OF, name)?;
            }
            tx.forget_events_of(&named.arn)?;
            Ok::<_, Error>(tx.unlink(function.about.zip)?)
        })
        .await?;
    lambda.remove_zip(zip);
    Ok(())
}
