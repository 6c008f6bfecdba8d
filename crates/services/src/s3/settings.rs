//! What is set for a bucket and seldom asked for: one document each, kept as the XML in which it came.
//!
//! What every request needs to know of its bucket is in the bucket's own record instead.

use super::bucket::existing;
use super::error::{Error, Result, not_found};
use s3s::dto::{
    BucketLifecycleConfiguration, CORSConfiguration, PublicAccessBlockConfiguration,
    ServerSideEncryptionConfiguration, Tagging, WebsiteConfiguration,
};
use s3s::xml::{DeserializeContent, Deserializer, SerializeContent, Serializer};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use store::kv::{From as Start, Stored, Table};
use store::{Tx, View};

const SETTINGS: Table<Document> = Table::new("s3.setting");

#[derive(Serialize, Deserialize)]
struct Document(String);

impl Stored for Document {}

/// The element that holds a document at rest, whichever it is.
const ELEMENT: &str = "Setting";

/// One kind of setting.
pub(super) struct Setting<T> {
    name: &'static str,
    /// The error when it is not there.
    missing: &'static str,
    message: &'static str,
    document: PhantomData<fn() -> T>,
}

const fn setting<T>(name: &'static str, missing: &'static str, message: &'static str) -> Setting<T> {
    Setting { name, missing, message, document: PhantomData }
}

pub(super) const CORS: Setting<CORSConfiguration> =
    setting("cors", "NoSuchCORSConfiguration", "The CORS configuration does not exist");

pub(super) const ENCRYPTION: Setting<ServerSideEncryptionConfiguration> = setting(
    "encryption",
    "ServerSideEncryptionConfigurationNotFoundError",
    "The server side encryption configuration was not found",
);

pub(super) const LIFECYCLE: Setting<BucketLifecycleConfiguration> =
    setting("lifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist");

pub(super) const PUBLIC_ACCESS_BLOCK: Setting<PublicAccessBlockConfiguration> = setting(
    "public-access-block",
    "NoSuchPublicAccessBlockConfiguration",
    "The public access block configuration was not found",
);

pub(super) const TAGGING: Setting<Tagging> = setting("tagging", "NoSuchTagSet", "The TagSet does not exist");

pub(super) const WEBSITE: Setting<WebsiteConfiguration> = setting(
    "website",
    "NoSuchWebsiteConfiguration",
    "The specified bucket does not have a website configuration",
);

/// A document that is no XML: a policy.
pub(super) const POLICY: Setting<String> =
    setting("policy", "NoSuchBucketPolicy", "The bucket policy does not exist");

fn place(bucket: &str, name: &str) -> String {
    format!("{bucket}\0{name}")
}

impl<T> Setting<T> {
    /// The text of the document, if it is set.
    pub(super) fn text(&self, view: &View<'_>, bucket: &str) -> Result<Option<String>> {
        Ok(view.get(&SETTINGS, place(bucket, self.name))?.map(|document: Document| document.0))
    }

    /// The error that says that it is not set.
    pub(super) fn missing(&self) -> Error {
        not_found(self.missing, self.message)
    }

    pub(super) fn put_text(&self, tx: &Tx<'_>, bucket: &str, text: String) -> Result<()> {
        existing(tx, bucket)?;
        tx.put(&SETTINGS, place(bucket, self.name), &Document(text))?;
        Ok(())
    }

    pub(super) fn delete(&self, tx: &Tx<'_>, bucket: &str) -> Result<()> {
        existing(tx, bucket)?;
        tx.delete(&SETTINGS, place(bucket, self.name))?;
        Ok(())
    }
}

impl<T: SerializeContent + for<'xml> DeserializeContent<'xml>> Setting<T> {
    /// The document, if it is set.
    pub(super) fn get(&self, view: &View<'_>, bucket: &str) -> Result<Option<T>> {
        let Some(text) = self.text(view, bucket)? else { return Ok(None) };
        let mut reader = Deserializer::new(text.as_bytes());
        let document = reader.named_element(ELEMENT, Deserializer::content);
        document.map(Some).map_err(|_| Error::Broken("a bucket's setting cannot be read"))
    }

    /// The document of a bucket that exists, or the error that says that it is not set.
    pub(super) fn find(&self, view: &View<'_>, bucket: &str) -> Result<T> {
        existing(view, bucket)?;
        self.get(view, bucket)?.ok_or_else(|| self.missing())
    }

    pub(super) fn put(&self, tx: &Tx<'_>, bucket: &str, document: &T) -> Result<()> {
        let mut text = Vec::new();
        Serializer::new(&mut text)
            .content(ELEMENT, document)
            .map_err(|_| Error::Broken("a bucket's setting cannot be written"))?;
        self.put_text(tx, bucket, String::from_utf8_lossy(&text).into_owned())
    }
}

/// Forgets everything that is set for a bucket.
pub(super) fn forget(tx: &Tx<'_>, bucket: &str) -> Result<()> {
    let prefix = place(bucket, "");
    // There are fewer kinds than this.
    for (key, _) in tx.scan(&SETTINGS, prefix.as_bytes(), Start::At(prefix.as_bytes()), 100)? {
        tx.delete(&SETTINGS, key)?;
    }
    Ok(())
}

/// The buckets that have a lifecycle.
pub(super) fn buckets_with_lifecycle(view: &View<'_>) -> Result<Vec<String>> {
    let (mut buckets, mut after) = (Vec::new(), Vec::new());
    loop {
        let found = view.scan(&SETTINGS, b"", Start::After(&after), 256)?;
        let ended = found.len() < 256;
        for (key, _) in found {
            if let Some((bucket, "lifecycle")) =
                std::str::from_utf8(&key).ok().and_then(|key| key.split_once('\0'))
            {
                buckets.push(bucket.to_owned());
            }
            after = key;
        }
        if ended {
            return Ok(buckets);
        }
    }
}
