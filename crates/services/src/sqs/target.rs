//! Which queue a request is for: URLs, ARNs and names.

use super::fault::{Error, fault, missing, no_queue};
use store::View;
use store::message::Queue;
use wire::Fault;
use wire::rpc::Call;

/// A queue as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its ARN.
    pub(super) arn: String,
}

/// The ARN of the queue called `name` for the caller.
pub(super) fn arn(call: &Call, name: &str) -> String {
    call.scope().arn("sqs", name)
}

/// The URL by which the client that sent `call` reaches the queue with this ARN.
pub(super) fn url(call: &Call, arn: &str) -> String {
    let host = call.head.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| call.header("host")).unwrap_or("localhost");
    let mut parts = arn.rsplitn(3, ':');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("http://{host}/{account}/{name}")
}

impl Target {
    /// The queue that `url` names: `http://HOST/ACCOUNT/NAME`, whatever the host; also with `queue/REGION` before the
    /// account, with the region in the host, and the bare name.
    ///
    /// # Errors
    /// When it names none. A request of the query protocol may have it as its own address instead.
    pub(super) fn of(call: &Call, url: Option<&str>) -> Result<Self, Fault> {
        let own = call.head.uri.path();
        let url = match url {
            Some("") => return Err(missing("QueueUrl")),
            Some(url) => url,
            None if own.trim_matches('/').contains('/') => own,
            None => return Err(missing("QueueUrl")),
        };
        let (host, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", url),
        };
        let mut segments = path.trim_matches('/').rsplit('/');
        let name = segments.next().filter(|name| !name.is_empty()).ok_or_else(|| address(url))?;
        let scope = call.scope();
        let account = segments.next().unwrap_or(&scope.account);
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(address(url));
        }
        let in_path = segments.next().filter(|_| segments.next() == Some("queue"));
        let labels: Vec<&str> = host.split('.').collect();
        let in_host = match labels.as_slice() {
            ["sqs", region, _, ..] | [region, "queue", ..] if region.contains('-') => Some(*region),
            _ => None,
        };
        let region = in_path.or(in_host).unwrap_or(&scope.region);
        Ok(Target { arn: format!("arn:aws:sqs:{region}:{account}:{name}") })
    }

    /// The queue itself.
    ///
    /// # Errors
    /// `QueueDoesNotExist`, or a fault of the store.
    pub(super) fn find(&self, view: &View<'_>) -> Result<Queue, Error> {
        view.queue(&self.arn)?.ok_or_else(|| no_queue().into())
    }
}

fn address(url: &str) -> Fault {
    fault("InvalidAddress", format!("The address {url} is not valid for this endpoint."))
}
