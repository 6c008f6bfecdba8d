//! Lifecycle at work: what the rules of a bucket say is done, a batch at a time, when the bucket's timer says so
//! ([`super::timer`]). Everything it needs to know is on disk, so a pass that is cut off is simply done again.

use super::State;
use super::change::{Removal, delete};
use super::error::{Error, Result};
use super::event::{Kind, Origin};
use super::lifecycle::{expiry, is_lone_marker_past, is_past, is_upload_past, transition};
use super::settings::{LIFECYCLE, buckets_with_lifecycle};
use super::timer;
use super::upload::{COMPLETED, UPLOADS, forget};
use super::version::{Entry, VERSIONS, prefix_base, read_base, read_slot, shown};
use crate::object::{OBJECTS, object_key};
use model::{RequestId, Timestamp};
use s3s::dto::LifecycleRule;
use std::time::Duration;
use store::kv::From as Start;
use uuid::Uuid;

/// How many records are looked at in one snapshot.
const BATCH: usize = 256;

/// How long a completed upload is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that a rule says is to be done.
enum Action {
    Expire { key: String },
    Move { key: String, class: String },
    Remove { key: String, version: String },
    Abort { key: String, id: Uuid },
}

/// The timer of what is cleaned up beside rules; no bucket has such a name.
const CLEANING: &str = "CLEANING";

/// Sees to it that everything has its timer, as data from before there were timers has not.
pub(super) async fn set_timers(state: &State) -> Result<()> {
    let mut names = state.store.read(buckets_with_lifecycle)?;
    names.push(CLEANING.to_owned());
    let set = move |tx: &store::Tx<'_>| {
        for name in &names {
            if !timer::is_set(tx, name)? {
                timer::set(tx, name, tx.now())?;
            }
        }
        Ok::<_, Error>(())
    };
    state.store.write(set).await
}

/// Does all that is due, each of it again after `every`; how long it is until something is.
pub(super) async fn run(state: &State, every: Duration) -> Result<Duration> {
    loop {
        let Some((name, wait)) = state.store.read(|view| timer::first(view, every))? else {
            return Ok(every);
        };
        if !wait.is_zero() {
            return Ok(wait);
        }
        if name == CLEANING {
            forget_completed(state).await?;
            // Files that somebody was reading when their last link went.
            let store = state.store.clone();
            let removing = tokio::task::spawn_blocking(move || store.remove_unlinked([]));
            removing.await.map_err(|_| Error::Broken("a removal panicked"))??;
        } else {
            follow(state, &name).await?;
        }
        let again = move |tx: &store::Tx<'_>| {
            if name == CLEANING || LIFECYCLE.get(tx, &name)?.is_some() {
                timer::set(tx, &name, tx.now().after(every))
            } else {
                timer::unset(tx, &name)
            }
        };
        state.store.write(again).await?;
    }
}

/// Does what the rules of a bucket say is due.
async fn follow(state: &State, bucket: &str) -> Result<()> {
    let Some(lifecycle) = state.store.read(|view| LIFECYCLE.get(view, bucket))? else { return Ok(()) };
    for look in [current, older, uploads] {
        let mut after = Vec::new();
        loop {
            let store = state.store.clone();
            let (rules, bucket_) = (lifecycle.rules.clone(), bucket.to_owned());
            let looking =
                tokio::task::spawn_blocking(move || store.read(|view| look(view, &bucket_, &rules, &after)));
            let found = looking.await.map_err(|_| Error::Broken("a pass of lifecycles panicked"))??;
            for action in found.actions {
                act(state, bucket, action).await?;
            }
            match found.after {
                Some(next) => after = next,
                None => break,
            }
        }
    }
    Ok(())
}

/// What was found to do in one batch.
#[derive(Default)]
struct Batch {
    actions: Vec<Action>,
    /// Where the next batch begins.
    after: Option<Vec<u8>>,
}

type View<'a> = store::View<'a>;

fn current(view: &View<'_>, bucket: &str, rules: &[LifecycleRule], after: &[u8]) -> Result<Batch> {
    let prefix = object_key(bucket, "");
    let records = view.scan(&OBJECTS, &prefix, Start::After(after.max(&prefix)), BATCH)?;
    let mut batch = Batch::default();
    let more = records.len() == BATCH;
    for (place, object) in records {
        let key = String::from_utf8_lossy(place.get(prefix.len()..).unwrap_or_default()).into_owned();
        if expiry(rules, &key, &object).is_some_and(|(at, _)| at <= view.now()) {
            batch.actions.push(Action::Expire { key });
        } else if let Some(class) = transition(rules, &key, &object, view.now()) {
            batch.actions.push(Action::Move { key, class });
        }
        batch.after = more.then_some(place);
    }
    Ok(batch)
}

fn older(view: &View<'_>, bucket: &str, rules: &[LifecycleRule], after: &[u8]) -> Result<Batch> {
    let prefix = prefix_base(bucket, "");
    let records = view.scan(&VERSIONS, &prefix, Start::After(after.max(&prefix)), BATCH)?;
    let mut batch = Batch::default();
    let more = records.len() == BATCH;
    let (mut of, mut since, mut newer): (String, Option<Timestamp>, usize) = (String::new(), None, 0);
    let last_key = records.last().map(|(place, _)| read_slot(bucket, place)).transpose()?;
    for (place, entry) in records {
        let key = read_slot(bucket, &place)?;
        if key != of {
            // A key is looked at whole: one whose versions go on begins the next batch, unless it fills this one.
            if more && last_key.as_ref() == Some(&key) && !of.is_empty() {
                return Ok(batch);
            }
            of.clone_from(&key);
            since = view.get(&OBJECTS, object_key(bucket, &key))?.map(|current| current.last_modified);
            newer = 0;
        }
        match (&entry, since) {
            (Entry::Object(object), Some(at)) => {
                if is_past(rules, &key, object, at, newer, view.now()) {
                    batch.actions.push(Action::Remove { key: key.clone(), version: shown(entry.version()) });
                }
                newer += 1;
            }
            (Entry::Marker(marker), None) => {
                let alone =
                    view.scan(&VERSIONS, &super::version::base(bucket, &key), Start::At(b""), 2)?.len() == 1;
                if alone && is_lone_marker_past(rules, &key, marker.at, view.now()) {
                    batch.actions.push(Action::Remove { key: key.clone(), version: shown(entry.version()) });
                }
            }
            _ => {}
        }
        since = Some(entry.at());
        batch.after = more.then_some(place);
    }
    Ok(batch)
}

fn uploads(view: &View<'_>, bucket: &str, rules: &[LifecycleRule], after: &[u8]) -> Result<Batch> {
    let prefix = prefix_base(bucket, "");
    let records = view.scan(&UPLOADS, &prefix, Start::After(after.max(&prefix)), BATCH)?;
    let mut batch = Batch::default();
    let more = records.len() == BATCH;
    for (place, upload) in records {
        let key = read_base(bucket, &place, 16)?;
        let id = place.len().checked_sub(16).and_then(|at| Uuid::from_slice(place.get(at..)?).ok());
        if let Some(id) = id.filter(|_| is_upload_past(rules, &key, upload.initiated, view.now())) {
            batch.actions.push(Action::Abort { key, id });
        }
        batch.after = more.then_some(place);
    }
    Ok(batch)
}

async fn act(state: &State, bucket: &str, action: Action) -> Result<()> {
    let origin = Origin {
        account: String::new(),
        id: RequestId::new(state.store.now()),
        access_key: "s3.amazonaws.com".to_owned(),
        region: state.region.clone(),
        lineage: Default::default(),
    };
    let bucket = bucket.to_owned();
    let done = state
        .change(None, move |tx| match action {
            Action::Expire { key } => {
                // It may have been put again since it was looked at.
                let rules = LIFECYCLE.get(tx, &bucket)?.map(|lifecycle| lifecycle.rules).unwrap_or_default();
                let current = tx.get(&OBJECTS, object_key(&bucket, &key))?;
                let past = |object| expiry(&rules, &key, object).is_some_and(|(at, _)| at <= tx.now());
                if !current.as_ref().is_some_and(past) {
                    return Ok(((), Vec::new()));
                }
                let kinds = (Kind::Expired, Kind::ExpiredByMarker);
                let (_, unlinked) = delete(tx, &origin, (&bucket, &key), &Removal::default(), kinds)?;
                Ok(((), unlinked))
            }
            Action::Move { key, class } => {
                let place = object_key(&bucket, &key);
                if let Some(mut object) = tx.get(&OBJECTS, &place)? {
                    object.storage_class = Some(class);
                    tx.put(&OBJECTS, &place, &object)?;
                }
                Ok(((), Vec::new()))
            }
            Action::Remove { key, version } => {
                let removal = Removal { version: Some(version), ..Removal::default() };
                let kinds = (Kind::Expired, Kind::ExpiredByMarker);
                let (_, unlinked) = delete(tx, &origin, (&bucket, &key), &removal, kinds)?;
                Ok(((), unlinked))
            }
            Action::Abort { key, id } => Ok(((), forget(tx, &bucket, &key, id)?)),
        })
        .await;
    match done {
        // A lock or a bucket that is gone: the rule does not apply.
        Err(Error::Refused(_)) => Ok(()),
        done => done,
    }
}

/// Forgets completed uploads whose clients have had time enough to ask again.
async fn forget_completed(state: &State) -> Result<()> {
    let mut after = Vec::new();
    loop {
        let records = state.store.read(|view| view.scan(&COMPLETED, b"", Start::After(&after), BATCH))?;
        let ended = records.len() < BATCH;
        let now = state.store.now();
        let old: Vec<Vec<u8>> = records
            .iter()
            .filter(|(_, completed)| completed.at.after(REMEMBERED) < now)
            .map(|(place, _)| place.clone())
            .collect();
        if let Some((place, _)) = records.into_iter().last() {
            after = place;
        }
        if !old.is_empty() {
            state
                .store
                .write(move |tx| {
                    for place in old {
                        tx.delete(&COMPLETED, place)?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        if ended {
            return Ok(());
        }
    }
}
