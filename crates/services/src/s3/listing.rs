//! Listings: a bucket's keys in binary order, those with a common beginning rolled up.

use super::error::{Error, Result};
use crate::object::{OBJECTS, Object, object_key};
use store::View;
use store::kv::From;

/// The most entries of one page.
pub(super) const PAGE: usize = 1_000;

/// How many records are read at once after a roll-up, and at most when keys may be rolled up.
const FEW: usize = 2;
const SOME: usize = 256;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    /// Not empty.
    pub(super) delimiter: Option<String>,
    /// The listing begins behind this key or rolled-up prefix.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) prefixes: Vec<String>,
    /// The last entry, when more follow.
    pub(super) next: Option<String>,
}

impl Query {
    /// The prefix that `key` is rolled up to.
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let end = self.prefix.len() + rest.find(delimiter)? + delimiter.len();
        key.get(..end)
    }

    /// Reads one page of `bucket`. It blocks.
    pub(super) fn read(&self, view: &View<'_>, bucket: &str) -> Result<Page> {
        let mut page = Page::default();
        if self.limit == 0 {
            return Ok(page);
        }
        let base = object_key(bucket, &self.prefix);
        // One that lies in a group stands for the whole group.
        let mut behind = self.after.as_deref().map(|after| match self.group(after) {
            Some(group) => behind_group(bucket, group),
            None => object_key(bucket, after),
        });
        let most = if self.delimiter.is_some() { SOME } else { self.limit.min(PAGE) + 1 };
        let mut batch = if self.delimiter.is_some() { FEW } else { most };
        let mut last = String::new();
        'more: loop {
            let from = behind.as_deref().map_or(From::At(&base), From::After);
            let records = view.scan(&OBJECTS, &base, from, batch)?;
            let ended = records.len() < batch;
            for (record, object) in records {
                let key = key_of(bucket, &record)?;
                if page.objects.len() + page.prefixes.len() == self.limit {
                    page.next = Some(last);
                    return Ok(page);
                }
                if let Some(group) = self.group(&key) {
                    page.prefixes.push(group.to_owned());
                    group.clone_into(&mut last);
                    behind = Some(behind_group(bucket, group));
                    batch = FEW;
                    continue 'more;
                }
                last.clone_from(&key);
                page.objects.push((key, object));
                behind = Some(record);
            }
            if ended {
                return Ok(page);
            }
            batch = (batch * 2).min(most);
        }
    }
}

/// Behind every key that begins with `group`: no key's text holds the byte ff.
fn behind_group(bucket: &str, group: &str) -> Vec<u8> {
    let mut end = object_key(bucket, group);
    end.push(0xff);
    end
}

fn key_of(bucket: &str, record: &[u8]) -> Result<String> {
    record
        .get(bucket.len() + 1..)
        .and_then(|key| String::from_utf8(key.to_vec()).ok())
        .ok_or(Error::Broken("an object's record has a key that is not text"))
}
