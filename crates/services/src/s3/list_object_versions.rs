//! `ListObjectVersions`: all versions and delete markers, by key and then the newest first.
//!
//! What is current and what is not lie apart (see [`super::version`]); both are read in the order of keys and merged.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>

use super::State;
use super::bucket::existing;
use super::error::{Error, Result, detailed};
use super::grants::owner;
use super::list_objects_v2::{Encoding, limit};
use super::parameters::check_query;
use super::request::Context;
use super::version::{Entry, VERSIONS, find_place, prefix_base, read_slot, shown};
use crate::object::{OBJECTS, object_key};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, DeleteMarkerEntry, ETag, ListObjectVersionsInput,
    ListObjectVersionsOutput, ObjectVersion, ObjectVersionStorageClass, Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::collections::VecDeque;
use store::View;
use store::kv::{From as Start, Stored, Table};

const PARAMETERS: &[&str] =
    &["versions", "delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"];

/// How many records of each kind are read at once.
const BATCH: usize = 256;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListObjectVersionsInput>,
) -> Result<S3Response<ListObjectVersionsOutput>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type)?;
    let limit = limit(input.max_keys, "max-keys")?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        key: input.key_marker.clone().filter(|key| !key.is_empty()),
        version: input.version_id_marker.clone().filter(|version| !version.is_empty()),
        limit,
    };
    if let (Some(version), None) = (&query.version, &query.key) {
        return Err(detailed(
            S3ErrorCode::InvalidArgument,
            "A version-id marker cannot be specified without a key marker.",
            &[("ArgumentName", "version-id-marker"), ("ArgumentValue", version)],
        ));
    }
    let store = state.store.clone();
    let reading = tokio::task::spawn_blocking(move || {
        store.read(|view| {
            let of = existing(view, &query.bucket)?;
            Ok::<_, Error>((of.owner().to_owned(), query.read(view)?))
        })
    });
    let (bucket_owner, page) = reading.await.map_err(|_| Error::Broken("a listing panicked"))??;
    let text = |value: Option<String>| value.map(|value| encoding.text(value));
    let (next_key, next_version) = page.next.unzip();
    let (mut versions, mut delete_markers) = (Vec::new(), Vec::new());
    for (key, entry, latest) in page.entries {
        match entry {
            Entry::Object(_) => versions.extend(version(encoding.text(key), entry, latest)),
            Entry::Marker(marker) => delete_markers.push(DeleteMarkerEntry {
                is_latest: Some(latest),
                key: Some(encoding.text(key)),
                last_modified: Some(Timestamp::from(marker.at.to_date_time())),
                owner: Some(owner(&bucket_owner)),
                version_id: Some(shown(marker.version.as_deref())),
            }),
        }
    }
    Ok(S3Response::new(ListObjectVersionsOutput {
        common_prefixes: Some(
            page.prefixes
                .into_iter()
                .map(|prefix| CommonPrefix { prefix: Some(encoding.text(prefix)) })
                .collect(),
        ),
        delete_markers: Some(delete_markers),
        delimiter: text(input.delimiter),
        encoding_type: encoding.name(),
        is_truncated: Some(next_key.is_some()),
        key_marker: Some(encoding.text(input.key_marker.unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        name: Some(input.bucket),
        next_key_marker: text(next_key),
        next_version_id_marker: next_version.flatten(),
        prefix: Some(encoding.text(input.prefix.unwrap_or_default())),
        request_charged: None,
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        versions: Some(versions),
    }))
}

fn version(key: String, entry: Entry, latest: bool) -> Option<ObjectVersion> {
    let Entry::Object(object) = entry else { return None };
    let kind = if object.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let by = owner(object.owner());
    let class = object.storage_class.unwrap_or_else(|| ObjectVersionStorageClass::STANDARD.to_owned());
    Some(ObjectVersion {
        checksum_algorithm: Some(object.checksums.keys().cloned().map(ChecksumAlgorithm::from).collect()),
        checksum_type: (!object.checksums.is_empty()).then(|| ChecksumType::from_static(kind)),
        e_tag: Some(ETag::Strong(object.etag)),
        is_latest: Some(latest),
        key: Some(key),
        last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
        owner: Some(by),
        restore_status: None,
        size: i64::try_from(object.len).ok(),
        storage_class: Some(ObjectVersionStorageClass::from(class)),
        version_id: Some(shown(object.version.as_deref())),
    })
}

struct Query {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    key: Option<String>,
    version: Option<String>,
    limit: usize,
}

#[derive(Default)]
struct Page {
    /// Each with whether it is the latest of its key.
    entries: Vec<(String, Entry, bool)>,
    prefixes: Vec<String>,
    /// The last entry, when more follow.
    next: Option<(String, Option<String>)>,
}

/// Records of one table, in order, read in batches.
struct Cursor<'a, V> {
    table: &'a Table<V>,
    prefix: Vec<u8>,
    /// Where it begins.
    first: Vec<u8>,
    after: Option<Vec<u8>>,
    waiting: VecDeque<(Vec<u8>, V)>,
    ended: bool,
}

impl<V: Stored> Cursor<'_, V> {
    fn peek(&mut self, view: &View<'_>) -> Result<Option<&(Vec<u8>, V)>> {
        if self.waiting.is_empty() && !self.ended {
            let start = self.after.as_deref().map_or(Start::At(&self.first), Start::After);
            self.waiting = view.scan(self.table, &self.prefix, start, BATCH)?.into();
            self.ended = self.waiting.len() < BATCH;
            if let Some((last, _)) = self.waiting.back() {
                self.after = Some(last.clone());
            }
        }
        Ok(self.waiting.front())
    }

    /// Goes on behind `place`, which lies ahead.
    fn skip(&mut self, place: Vec<u8>) {
        self.waiting.clear();
        self.ended = false;
        self.after = Some(place);
    }
}

impl Query {
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        key.get(..self.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }

    fn read(&self, view: &View<'_>) -> Result<Page> {
        let mut page = Page::default();
        if self.limit == 0 {
            return Ok(page);
        }
        let mut current = Cursor {
            table: &OBJECTS,
            prefix: object_key(&self.bucket, &self.prefix),
            first: object_key(&self.bucket, &self.prefix),
            after: None,
            waiting: VecDeque::new(),
            ended: false,
        };
        let mut older = Cursor {
            table: &VERSIONS,
            prefix: prefix_base(&self.bucket, &self.prefix),
            first: prefix_base(&self.bucket, &self.prefix),
            after: None,
            waiting: VecDeque::new(),
            ended: false,
        };
        // The key whose newest version was passed already.
        let mut passed = String::new();
        if let Some(key) = &self.key {
            match self.group(key) {
                Some(group) => self.skip(group, &mut current, &mut older),
                None => {
                    let (place, listed) = find_place(view, &self.bucket, key, self.version.as_deref())?;
                    older.skip(place);
                    if listed {
                        current.skip(object_key(&self.bucket, key));
                        passed.clone_from(key);
                    } else {
                        current.first = object_key(&self.bucket, key);
                    }
                }
            }
        }
        let mut last = (String::new(), None);
        loop {
            let ahead = match current.peek(view)? {
                Some((place, _)) => Some(
                    place
                        .get(self.bucket.len() + 1..)
                        .and_then(|key| String::from_utf8(key.to_vec()).ok())
                        .ok_or(Error::Broken("an object's record has a key that is not text"))?,
                ),
                None => None,
            };
            let older_ahead =
                older.peek(view)?.map(|(place, _)| read_slot(&self.bucket, place)).transpose()?;
            // Of one key, the current version comes first.
            let take_current = match (&ahead, &older_ahead) {
                (None, None) => return Ok(page),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(current), Some(older)) => current <= older,
            };
            let Some(key) = (if take_current { ahead } else { older_ahead }) else { return Ok(page) };
            if page.entries.len() + page.prefixes.len() == self.limit {
                page.next = Some(last);
                return Ok(page);
            }
            if let Some(group) = self.group(&key) {
                page.prefixes.push(group.to_owned());
                last = (group.to_owned(), None);
                self.skip(group, &mut current, &mut older);
                continue;
            }
            let entry = if take_current {
                current.waiting.pop_front().map(|(_, object)| Entry::Object(Box::new(object)))
            } else {
                older.waiting.pop_front().map(|(_, entry)| entry)
            };
            let Some(entry) = entry else { return Ok(page) };
            let latest = take_current || passed != key;
            passed.clone_from(&key);
            last = (key.clone(), Some(shown(entry.version())));
            page.entries.push((key, entry, latest));
        }
    }

    /// Goes on behind all keys that begin with `group`.
    fn skip(
        &self,
        group: &str,
        current: &mut Cursor<'_, crate::object::Object>,
        older: &mut Cursor<'_, Entry>,
    ) {
        let mut place = object_key(&self.bucket, group);
        place.push(0xff);
        current.skip(place);
        let mut place = prefix_base(&self.bucket, group);
        place.push(0xff);
        older.skip(place);
    }
}
