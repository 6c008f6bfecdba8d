//! What the operations on the configuration of asynchronous events share.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html>

use super::error::{Error, invalid, not_found};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::{Checks, is_arn};
use model::{FunctionArn, LATEST, Timestamp, limits};
use serde::Deserialize;
use serde_json::{Value, json};
use store::kv::From;
use store::rules::{EVENT_RULES, EventRules};
use store::{Tx, View};
use wire::Fault;
use wire::rest_json::Call;

/// The most configurations that are read or removed of one function at a time.
pub(super) const PAGE: usize = 50;

/// What Put and Update take.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    function_name: String,
    qualifier: Option<String>,
    maximum_retry_attempts: Option<i64>,
    maximum_event_age_in_seconds: Option<i64>,
    destination_config: Option<DestinationConfig>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DestinationConfig {
    on_success: Option<Target>,
    on_failure: Option<Target>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Target {
    destination: Option<String>,
}

/// As AWS's messages show it.
impl std::fmt::Display for DestinationConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |kind: &str, target: &Option<Target>| match target {
            Some(target) => {
                format!("{kind}(destination={})", target.destination.as_deref().unwrap_or("null"))
            }
            None => "null".to_owned(),
        };
        let (success, failure) = (shown("OnSuccess", &self.on_success), shown("OnFailure", &self.on_failure));
        write!(f, "DestinationConfig(onSuccess={success}, onFailure={failure})")
    }
}

impl Input {
    /// Reads and checks the parameters of a call.
    pub(super) fn read(call: &Call) -> Result<(Self, Named), Error> {
        let input: Input = call.input()?;
        refuse(call.operation, &input.rest)?;
        let mut checks = Checks::default();
        if let Some(retries) = input.maximum_retry_attempts {
            checks.range("maximumRetryAttempts", retries, 0, limits::ASYNC_RETRIES);
        }
        if let Some(age) = input.maximum_event_age_in_seconds {
            let most = u32::try_from(limits::ASYNC_MAX_AGE.as_secs()).unwrap_or(u32::MAX);
            checks.range("maximumEventAgeInSeconds", age, limits::ASYNC_AGE_LEAST_S, most);
        }
        if let Some(config) = &input.destination_config {
            for (name, target) in [("onSuccess", &config.on_success), ("onFailure", &config.on_failure)] {
                let Some(arn) = target.as_ref().and_then(|target| target.destination.as_deref()) else {
                    continue;
                };
                let member = format!("destinationConfig.{name}.destination");
                checks.pattern(&member, arn, DESTINATION, arn.is_empty() || is_arn(arn));
            }
        }
        checks.finish()?;
        let nothing = input.maximum_retry_attempts.is_none()
            && input.maximum_event_age_in_seconds.is_none()
            && input.destination_config.is_none();
        if nothing {
            let message = "You must specify at least one of error handling or destination setting.";
            return Err(invalid(message).into());
        }
        let named = Named::parse(call, &input.function_name, input.qualifier.as_deref())?;
        Ok((input, named))
    }

    /// Changes `rules` of the function `named` as the input says; the destinations have to exist.
    pub(super) fn apply(&self, view: &View<'_>, named: &Named, rules: &mut EventRules) -> Result<(), Error> {
        let number = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
        rules.retries = number(self.maximum_retry_attempts).or(rules.retries);
        rules.max_age_s = number(self.maximum_event_age_in_seconds).or(rules.max_age_s);
        if let Some(config) = &self.destination_config {
            let target =
                |target: &Option<Target>| match target.as_ref().and_then(|one| one.destination.clone()) {
                    Some(arn) if !arn.is_empty() => destination(view, named, config, arn).map(Some),
                    _ => Ok(None),
                };
            rules.on_success = target(&config.on_success)?;
            rules.on_failure = target(&config.on_failure)?;
        }
        rules.modified = view.now().0;
        Ok(())
    }
}

/// What AWS's pattern for a destination is.
const DESTINATION: &str = r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";

/// Checks where a record shall go.
fn destination(
    view: &View<'_>,
    named: &Named,
    whole: &DestinationConfig,
    arn: String,
) -> Result<String, Error> {
    let service = arn.split(':').nth(2).unwrap_or_default();
    match service {
        "lambda" => {
            let wrong = || invalid(format!("The destination ARN {arn} is invalid."));
            let target = FunctionArn::parse(&arn).filter(|target| target.scope() == named.arn.scope());
            let target = target.ok_or_else(wrong)?;
            if target.unqualified() == named.arn {
                return Err(invalid("You can't specify the function as a destination for itself.").into());
            }
            let qualifier = target.qualifier().map(str::to_owned);
            Function::resolve(view, &Named { arn: target.unqualified(), qualifier }).map_err(|_| wrong())?;
            Ok(arn)
        }
        "sqs" => check_queue(view, &arn).map(|()| arn),
        "sns" | "events" | "s3" => Err(invalid(format!(
            "The destination ARN {arn} is not supported by Mayfly; functions and queues can be destinations."
        ))
        .into()),
        _ => Err(invalid(format!("The provided destination config {whole} is invalid.")).into()),
    }
}

/// Checks a queue for records or dead letters: it exists, and is none of those that keep an order.
pub(super) fn check_queue(view: &View<'_>, arn: &str) -> Result<(), Error> {
    match view.queue(arn)? {
        Some(queue) if queue.is_fifo() => {
            Err(invalid(format!("The queue {arn} is a FIFO queue, which is not supported here.")).into())
        }
        Some(_) => Ok(()),
        None => Err(invalid(format!("The queue {arn} does not exist.")).into()),
    }
}

/// That there is what rules are asked for, in the words that these operations have for it.
pub(super) fn exists(view: &View<'_>, named: &Named) -> Result<(), Error> {
    match Function::resolve(view, named) {
        Ok(_) => Ok(()),
        Err(Error::Fault(_)) => Err(not_found("The function doesn't exist.").into()),
        Err(error) => Err(error),
    }
}

/// The rules of `named`; a fault if it has none.
pub(super) fn load(view: &View<'_>, named: &Named) -> Result<EventRules, Error> {
    // AWS does not look whether there is such a function or version.
    Ok(view.get(&EVENT_RULES, key(named).as_str())?.ok_or_else(|| none(named))?)
}

/// That `named` has no rules.
pub(super) fn none(named: &Named) -> Fault {
    not_found(format!("The function {} doesn't have an EventInvokeConfig", shown_arn(key(named).as_str())))
}

/// Where the rules of `named` are kept: those of `$LATEST` under the function itself.
pub(super) fn key(named: &Named) -> FunctionArn {
    match &named.qualifier {
        Some(qualifier) if qualifier != LATEST => named.target(),
        _ => named.arn.clone(),
    }
}

/// The configuration as the API shows it.
pub(super) fn shown(arn: &str, rules: &EventRules) -> Value {
    let target = |arn: &Option<String>| arn.as_ref().map_or(json!({}), |arn| json!({"Destination": arn}));
    let mut shown = json!({
        "LastModified": Timestamp(rules.modified).0 as f64 / 1000.0,
        "FunctionArn": shown_arn(arn),
        "DestinationConfig": {"OnSuccess": target(&rules.on_success), "OnFailure": target(&rules.on_failure)},
    });
    if let Some(retries) = rules.retries {
        shown["MaximumRetryAttempts"] = json!(retries);
    }
    if let Some(age) = rules.max_age_s {
        shown["MaximumEventAgeInSeconds"] = json!(age);
    }
    shown
}

fn shown_arn(arn: &str) -> String {
    let arn = FunctionArn::from_stored(arn.to_owned());
    match arn.qualifier() {
        Some(_) => arn.to_string(),
        None => format!("{arn}:$LATEST"),
    }
}

/// Those of the function `arn` under all its names, at most `limit`, behind `after`.
pub(super) fn of_function(
    view: &View<'_>,
    arn: &FunctionArn,
    after: &[u8],
    limit: usize,
) -> store::Result<Vec<(Vec<u8>, EventRules)>> {
    let mut found = Vec::new();
    if after.is_empty()
        && let Some(rules) = view.get(&EVENT_RULES, arn.as_str())?
    {
        found.push((arn.as_str().as_bytes().to_vec(), rules));
    }
    let prefix = format!("{arn}:");
    found.extend(view.scan(
        &EVENT_RULES,
        prefix.as_bytes(),
        From::After(after),
        limit - found.len().min(limit),
    )?);
    Ok(found)
}

/// Forgets the rules of a function that is deleted.
pub(super) fn forget(tx: &Tx<'_>, arn: &FunctionArn) -> store::Result<()> {
    loop {
        let found = of_function(tx, arn, b"", PAGE)?;
        for (key, _) in &found {
            tx.delete(&EVENT_RULES, key)?;
        }
        if found.len() < PAGE {
            return Ok(());
        }
    }
}
