//! What all batches have in common: their entries' ids, and answers entry by entry.

use super::fault::{Error, fault, missing, query_code};
use model::limits;
use serde::Serialize;
use std::collections::HashSet;
use wire::Fault;

/// What became of the entries, by their ids.
type Results<T> = Vec<(String, Result<T, Fault>)>;

/// What became of a batch: one entry may fail while others do not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer<T> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) successful: Vec<T>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<Failed>,
}

impl<T> Answer<T> {
    /// The results of entries, by their ids.
    pub(super) fn of(results: Results<T>) -> Self {
        let mut answer = Answer { successful: Vec::new(), failed: Vec::new() };
        for (id, result) in results {
            match result {
                Ok(one) => answer.successful.push(one),
                Err(fault) => answer.failed.push(Failed::new(id, &fault)),
            }
        }
        answer
    }
}

/// Does `one` for every entry, with the receipt handle in it; a fault of the caller ends only its entry. `named` takes the
/// id and the receipt handle out of an entry.
pub(super) fn each<T>(
    entries: Vec<T>,
    named: impl Fn(&mut T) -> (Option<String>, Option<String>),
    one: impl Fn(&T, &str) -> Result<(), Error>,
) -> Result<Results<Done>, Error> {
    let of_entry = |mut entry: T| {
        let (id, handle) = named(&mut entry);
        let id = id.unwrap_or_default();
        let handle = handle.ok_or_else(|| Error::from(missing("ReceiptHandle")));
        match handle.and_then(|handle| one(&entry, &handle)) {
            Ok(()) => Ok((id.clone(), Ok(Done { id }))),
            Err(Error::Fault(fault)) => Ok((id, Err(fault))),
            Err(error) => Err(error),
        }
    };
    entries.into_iter().map(of_entry).collect()
}

/// An entry that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failed {
    id: String,
    sender_fault: bool,
    code: String,
    message: String,
}

impl Failed {
    fn new(id: String, fault: &Fault) -> Self {
        Failed {
            id,
            sender_fault: !fault.status.is_server_error(),
            code: query_code(&fault.code).to_owned(),
            message: fault.message.clone(),
        }
    }
}

/// An entry that succeeded and has nothing to tell.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Done {
    pub(super) id: String,
}

/// Checks the ids of the entries of a batch; `kind` is what AWS calls one entry.
pub(super) fn check_ids<'a>(
    ids: impl ExactSizeIterator<Item = Option<&'a str>>,
    kind: &str,
) -> Result<(), Fault> {
    if ids.len() == 0 {
        return Err(fault(
            "EmptyBatchRequest",
            format!("There should be at least one {kind} in the request."),
        ));
    }
    if ids.len() > limits::SQS_BATCH {
        return Err(fault(
            "TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {}. You have sent {}.",
                limits::SQS_BATCH,
                ids.len()
            ),
        ));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let id = id.unwrap_or_default();
        let fits = (1..=80).contains(&id.len());
        if !fits || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(fault(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
                 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(fault("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    Ok(())
}
