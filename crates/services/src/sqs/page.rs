//! Lists of queues, page by page.

use super::fault::invalid_value;
use super::target;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::message::Filter;
use store::{Result, View};
use wire::Fault;
use wire::rpc::Call;

/// The most queues of one answer.
const MOST: i64 = 1000;

/// What part of a list is asked for.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    told: bool,
    after: String,
}

impl Page {
    pub(super) fn of(most: Option<i64>, token: Option<&str>) -> std::result::Result<Self, Fault> {
        let limit = most.unwrap_or(MOST);
        if !(1..=MOST).contains(&limit) {
            return Err(invalid_value(limit, "MaxResults", "Must be an integer between 1 and 1000"));
        }
        let after = match token.filter(|token| !token.is_empty()) {
            None => String::new(),
            Some(token) => URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| {
                    invalid_value(token, "NextToken", "The token is not one that this server gave.")
                })?,
        };
        Ok(Page { limit: usize::try_from(limit).unwrap_or(1), told: most.is_some(), after })
    }

    /// The URLs of this page, and what the next one begins with.
    pub(super) fn read(
        &self,
        view: &View<'_>,
        filter: Filter<'_>,
        call: &Call,
    ) -> Result<(Vec<String>, Option<String>)> {
        let mut queues = view.queues(filter, &self.after, self.limit + 1)?;
        let more = queues.len() > self.limit;
        queues.truncate(self.limit);
        let last =
            queues.last().filter(|_| more && self.told).map(|queue| URL_SAFE_NO_PAD.encode(&queue.arn));
        Ok((queues.iter().map(|queue| target::url(call, &queue.arn)).collect(), last))
    }
}
