//! `PublishLayerVersion`: a zip becomes the next version of a layer.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html>

use super::name::LayerArn;
use super::record::{LAST, LAYERS, Last, LayerVersion};
use crate::lambda::Lambda;
use crate::lambda::code::Code;
use crate::lambda::error::Error;
use crate::lambda::function::new_revision;
use crate::lambda::refusal::{Rest, refuse};
use crate::lambda::settings::RUNTIMES;
use crate::lambda::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    layer_name: String,
    content: Option<Code>,
    description: Option<String>,
    license_info: Option<String>,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
    #[serde(flatten)]
    rest: Rest,
}

/// Publishes a version.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    checks.required("content", input.content.as_ref());
    if let Some(description) = &input.description {
        checks.length("description", description, 0, 256);
    }
    if let Some(license) = &input.license_info {
        checks.length("licenseInfo", license, 0, 512);
    }
    let shown = |list: &[String]| format!("[{}]", list.join(", "));
    if let Some(runtimes) = &input.compatible_runtimes {
        let fits = runtimes.iter().all(|runtime| RUNTIMES.contains(&runtime.as_str()));
        let constraint = format!("Member must satisfy enum value set: [{}]", RUNTIMES.join(", "));
        checks.holds("compatibleRuntimes", &shown(runtimes), fits, &constraint);
        let constraint = "Member must have length less than or equal to 15";
        checks.holds("compatibleRuntimes", &shown(runtimes), runtimes.len() <= 15, constraint);
    }
    if let Some(architectures) = &input.compatible_architectures {
        let fits = architectures.iter().all(|one| ["x86_64", "arm64"].contains(&one.as_str()));
        let constraint =
            "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]";
        checks.holds("compatibleArchitectures", &shown(architectures), fits, constraint);
    }
    checks.finish()?;
    let arn = LayerArn::parse(&call, &input.layer_name)?;
    let Some(content) = input.content else { return Err(crate::lambda::error::no_resource().into()) };
    let staged = lambda.stage(call.operation, content).await?;
    let zip = staged.zip.id;
    let named = arn.clone();
    let published = lambda
        .store
        .write(move |tx| {
            let number = tx.get(&LAST, named.to_string())?.unwrap_or_default().0 + 1;
            let layer = LayerVersion {
                description: input.description.unwrap_or_default(),
                license: input.license_info,
                runtimes: input.compatible_runtimes,
                architectures: input.compatible_architectures,
                created: tx.now(),
                zip: staged.zip.id,
                zip_len: staged.zip.len,
                code: staged.id,
                statements: Vec::new(),
                revision: new_revision(),
            };
            tx.link(&staged.zip)?;
            tx.put(&LAST, named.to_string(), &Last(number))?;
            tx.put(&LAYERS, named.key(number), &layer)?;
            Ok::<_, Error>((number, layer))
        })
        .await;
    match published {
        Ok((number, layer)) => Ok(lambda.shown_layer(&arn, number, &layer)),
        Err(error) => {
            lambda.remove_zip(zip);
            Err(error)
        }
    }
}

/// Checks what a list is asked to be for.
pub(super) fn check_compatible(checks: &mut Checks, runtime: Option<&str>, architecture: Option<&str>) {
    if let Some(runtime) = runtime {
        checks.one_of("compatibleRuntime", runtime, RUNTIMES);
    }
    if let Some(architecture) = architecture {
        checks.one_of("compatibleArchitecture", architecture, &["x86_64", "arm64"]);
    }
}
