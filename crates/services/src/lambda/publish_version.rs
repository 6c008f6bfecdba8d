//! `PublishVersion`: keeps code and configuration as they are now under a number, for ever.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::{Function, Phase, new_revision};
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use store::Tx;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// Publishes a version, or answers with the last one if nothing has changed since.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(description) = &input.description {
        checks.length("description", description, 0, 256);
    }
    checks.finish()?;
    let named = Named::latest(&call, &input.function_name)?;
    let _change = lambda.busy.begin(&named.arn)?;
    let published = lambda
        .store
        .write(move |tx| {
            let latest = Function::load(tx, &named)?;
            latest.expect_revision(input.revision_id.as_deref())?;
            let hash = latest.code_sha256();
            if let Some(expected) = input.code_sha256.filter(|expected| *expected != hash) {
                return Err(Error::from(invalid(format!(
                    "CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({hash}). Please try \
                     again with the CodeSHA256 in $LATEST."
                ))));
            }
            publish(tx, latest, input.description)
        })
        .await?;
    Ok(lambda.published(&published, published.function.about.snap_start))
}

/// A version that was asked for.
pub(super) struct Published {
    pub(super) function: Function,
    /// It was not there before.
    pub(super) new: bool,
}

/// Makes `latest` the next version, unless the last one is just like it: then that one.
pub(super) fn publish(
    tx: &Tx<'_>,
    mut latest: Function,
    description: Option<String>,
) -> Result<Published, Error> {
    if let Some(last) = last_version(tx, &latest)?
        && is_like(&last, &latest)
    {
        return Ok(Published { function: last, new: false });
    }
    latest.about.published += 1;
    latest.about.revision = new_revision();
    latest.save(tx)?;
    let number = latest.about.published.to_string();
    let mut version = latest;
    version.spec.arn = version.spec.arn.qualified(&number);
    version.spec.version = number;
    // What waits ahead of the events of a version is asked for by provisioned concurrency.
    version.spec.ahead = 0;
    version.about.tags.clear();
    version.about.described = Some(version.about.description.clone());
    version.about.description = description.unwrap_or(version.about.description);
    version.about.revision = new_revision();
    version.about.modified = tx.now();
    tx.link_again(version.about.zip)?;
    version.about.layers.iter().try_for_each(|layer| tx.link_again(layer.zip))?;
    version.save(tx)?;
    Ok(Published { function: version, new: true })
}

fn last_version(tx: &Tx<'_>, latest: &Function) -> Result<Option<Function>, Error> {
    // The last one may have been deleted; then there is nothing to be like.
    let number = latest.about.published.to_string();
    Ok(match latest.about.published {
        0 => None,
        _ => Function::find(tx, &latest.spec.arn.qualified(&number))?,
    })
}

/// Whether a version and what may be changed are the same, all but what only tells them apart.
fn is_like(version: &Function, latest: &Function) -> bool {
    let mut spec = latest.spec.clone();
    spec.arn = version.spec.arn.clone();
    spec.version.clone_from(&version.spec.version);
    spec.ahead = version.spec.ahead;
    spec == version.spec
        && version.about.role == latest.about.role
        && version.about.described.as_ref().is_none_or(|then| *then == latest.about.description)
        && version.about.snap_start == latest.about.snap_start
        && version.about.layers == latest.about.layers
}

impl Lambda {
    /// Answers a change of a function.
    pub(super) fn changed(&self, function: &Function) -> Value {
        function.configuration(function.spec.arn.as_str(), Phase::Updating, &self.runtimes)
    }

    /// Answers with a version. AWS is still busy with one that has new code or is started from a snapshot, and clients
    /// wait for the end; here the next look finds it ready.
    pub(super) fn published(&self, published: &Published, takes_time: bool) -> Value {
        let Published { function, new } = published;
        let arn = function.spec.arn.as_str();
        match *new && takes_time {
            true => function.configuration(arn, Phase::Creating, &self.runtimes),
            false => self.shown(function, arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench, OTHER_ZIP};
    use serde_json::json;
    use store::kv::SPECS;

    const PATH: &str = "/2015-03-31/functions/f/versions";

    #[tokio::test]
    async fn versions_are_numbered_kept_and_not_repeated() {
        let bench = Bench::new();
        let created = bench.created().await;
        let first = bench.send("POST", PATH, json!({"Description": "one"})).await;
        assert_eq!((first.status, &first.body["Version"]), (201, &json!("1")), "{first:?}");
        assert_eq!(first.body["FunctionArn"], format!("{ARN}:1"));
        assert_eq!((&first.body["State"], &first.body["Description"]), (&json!("Active"), &json!("one")));
        let again = bench.send("POST", PATH, json!({"Description": "two"})).await;
        assert_eq!(again.body, first.body);
        bench.send("PUT", "/2015-03-31/functions/f/code", json!({"ZipFile": OTHER_ZIP})).await;
        let hash = created["CodeSha256"].as_str().unwrap();
        let stale = bench.send("POST", PATH, json!({"CodeSha256": hash})).await;
        stale.refused(400, "InvalidParameterValueException", &format!("CodeSHA256 ({hash}) is different"));
        let stale = bench.send("POST", PATH, json!({"RevisionId": "x"})).await;
        stale.refused(412, "PreconditionFailedException", "GetFunction/GetAlias");
        let second = bench.send("POST", PATH, json!({})).await.body;
        assert_eq!(second["Version"], "2");
        assert_eq!(bench.zips(), 2);
        let old = bench.get("/2015-03-31/functions/f/configuration?Qualifier=1").await.body;
        assert_eq!((&old["CodeSha256"], &old["Version"]), (&json!(hash), &json!("1")));
        let spec = bench.lambda.store.read(|view| view.get(&SPECS, format!("{ARN}:2"))).unwrap().unwrap();
        assert_eq!((spec.version.as_str(), spec.arn.as_str()), ("2", format!("{ARN}:2").as_str()));

        let listed = bench.get(PATH).await.body;
        let versions: Vec<_> = listed["Versions"].as_array().unwrap().iter().map(|v| &v["Version"]).collect();
        assert_eq!(versions, ["$LATEST", "1", "2"]);
        assert_eq!(listed["Versions"][0]["FunctionArn"], format!("{ARN}:$LATEST"));
        assert_eq!(listed["Versions"][0].get("State"), None);
        let page = bench.get(&format!("{PATH}?MaxItems=2")).await.body;
        assert_eq!(page["Versions"].as_array().unwrap().len(), 2);
        let marker = page["NextMarker"].as_str().unwrap();
        let rest = bench.get(&format!("{PATH}?MaxItems=2&Marker={marker}")).await.body;
        assert_eq!((&rest["Versions"][0]["Version"], rest.get("NextMarker")), (&json!("2"), None));
        let all = bench.get("/2015-03-31/functions?FunctionVersion=ALL").await.body;
        assert_eq!(all["Functions"].as_array().unwrap().len(), 3);

        let gone = bench.send_with("DELETE", "/2015-03-31/functions/f?Qualifier=1", &[], "".into()).await;
        assert_eq!(gone.status, 204);
        bench.get("/2015-03-31/functions/f?Qualifier=1").await.refused(
            404,
            "ResourceNotFoundException",
            &format!("Function not found: {ARN}:1"),
        );
        assert_eq!(bench.zips(), 1);
        bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        assert_eq!(bench.zips(), 0);
        assert!(!bench.lambda.store.read(|view| view.any(&SPECS, b"")).unwrap());
    }

    #[tokio::test]
    async fn create_and_update_publish_too() {
        let bench = Bench::new();
        let created = bench.create(json!({"Publish": true})).await;
        assert_eq!((created.status, &created.body["Version"]), (201, &json!("1")));
        assert_eq!(created.body["FunctionArn"], ARN);
        let input = json!({"ZipFile": OTHER_ZIP, "Publish": true});
        let updated = bench.send("PUT", "/2015-03-31/functions/f/code", input).await.body;
        assert_eq!((&updated["Version"], &updated["FunctionArn"]), (&json!("2"), &json!(format!("{ARN}:2"))));
    }
}
