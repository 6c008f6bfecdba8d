//! A function's code on its way in: from a request or a bucket to a blob and an unpacked package.

use super::Lambda;
use super::error::{Error, invalid};
use super::refusal::{Rest, refuse};
use crate::object::read::{ReadError, Reader};
use crate::object::versions::object_at;
use crate::object::{OBJECTS, Object, object_key};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{CodeId, limits};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use store::blob::{BlobId, Pinned};
use store::kv::From;
use store::package::PackageError;
use store::{Store, View};
use wire::Fault;

/// Where a function's code comes from.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Code {
    zip_file: Option<String>,
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3Key")]
    key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    version: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

impl Code {
    /// Whether it is that of an image, which no function here has.
    pub(super) fn is_image(&self) -> bool {
        self.rest.get("ImageUri").is_some_and(|uri| !uri.is_null())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("bucket", &self.bucket).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Code that is on disk and unpacked, and that no function has yet.
#[derive(Debug)]
pub(super) struct Staged {
    /// Names it by the content of the zip.
    pub(super) id: CodeId,
    /// The zip.
    pub(super) zip: Pinned,
}

/// The bytes of an object that are in memory at one time.
const CHUNK: u64 = 256 * 1024;

impl Lambda {
    /// Brings `code` in, so far that a function can have it; nothing refers to it yet.
    pub(super) async fn stage(&self, operation: &str, code: Code) -> Result<Staged, Error> {
        refuse(operation, &code.rest)?;
        let staged = match (code.zip_file, code.bucket, code.key) {
            (Some(zip), None, None) if code.version.is_none() => self.take_from_request(zip).await?,
            (None, Some(bucket), Some(key)) => {
                self.take_from_bucket(&bucket, &key, code.version.as_deref()).await?
            }
            (None, _, _) => return Err(invalid("Please provide a source for function code.").into()),
            (Some(_), _, _) => {
                return Err(invalid(
                    "Please do not provide other FunctionCode parameters when providing a ZipFile.",
                )
                .into());
            }
        };
        let file = self.store.blobs().read(staged.zip.id)?;
        match self.store.unpack(&staged.id, file).await {
            Ok(()) => Ok(staged),
            Err(error) => {
                self.discard(staged);
                Err(unpackable(error))
            }
        }
    }

    async fn take_from_request(&self, zip: String) -> Result<Staged, Error> {
        // Long enough work, for a large zip, to keep other requests of this thread waiting.
        let decoded = tokio::task::spawn_blocking(move || {
            BASE64_STANDARD.decode(zip).map(|bytes| (code_id(Sha256::digest(&bytes)), bytes))
        });
        let (id, bytes) = decoded
            .await
            .map_err(|_| store::Error::Closed)?
            .map_err(|error| invalid(format!("ZipFile cannot be read as base64: {error}.")))?;
        if bytes.is_empty() {
            return Err(invalid("Uploaded file must be a non-empty zip").into());
        }
        if bytes.len() > limits::ZIP_INLINE {
            let message = format!("Zipped size must be smaller than {} bytes", limits::ZIP_INLINE);
            return Err(Fault::new("RequestEntityTooLargeException", 413, message).into());
        }
        Ok(Staged { id, zip: self.store.blobs().write(&bytes).await? })
    }

    /// Copies the object's bytes, which then live as long as the function does; on disk they are one file.
    async fn take_from_bucket(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Staged, Error> {
        let (store, object) = (self.store.clone(), self.object(bucket, key, version)?);
        if object.len == 0 {
            return Err(invalid("Uploaded file must be a non-empty zip").into());
        }
        if object.len > limits::PACKAGE_UNPACKED {
            return Err(too_large().into());
        }
        let reader = store.read(|view| Reader::open(&store, view, &object, None, 0..object.len));
        let reader = reader.map_err(|error| match error {
            // Between the look and this the object may have been deleted.
            ReadError::Store(store::Error::File { ref source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Error::Fault(no_key())
            }
            ReadError::Store(error) => error.into(),
            ReadError::CustomerKey => Error::Fault(from_s3(
                "InvalidRequest",
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided \
                 to retrieve the object.",
            )),
            ReadError::Key(_) => store::Error::Missing { what: "the key of an object" }.into(),
        })?;
        let copying = tokio::task::spawn_blocking(move || copy(&store, &reader, object.len));
        let (hash, zip) = copying.await.map_err(|_| store::Error::Closed)??;
        Ok(Staged { id: code_id(hash), zip })
    }

    fn object(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Object, Error> {
        let prefix = object_key(bucket, "");
        let find = |view: &View<'_>| match version {
            Some(version) => object_at(view, bucket, key, version),
            None => view.get(&OBJECTS, object_key(bucket, key)),
        };
        self.store.read(|view| match find(view)? {
            Some(object) => Ok(object),
            None if version.is_some() => {
                Err(from_s3("NoSuchVersion", "The specified version does not exist.").into())
            }
            None if view.scan(&OBJECTS, &prefix, From::At(&prefix), 1)?.is_empty() => {
                Err(from_s3("NoSuchBucket", "The specified bucket does not exist or is empty").into())
            }
            None => Err(no_key().into()),
        })
    }

    /// Forgets code that no function will have. Its unpacked directory goes with the next sweep.
    pub(super) fn discard(&self, staged: Staged) {
        let blob = staged.zip.id;
        drop(staged);
        self.remove_zip(blob);
    }

    /// Removes the file of a zip that nothing refers to any more, if so.
    pub(super) fn remove_zip(&self, blob: BlobId) {
        if let Err(error) = self.store.remove_unlinked([blob]) {
            // The state is right all the same: the file goes when the store opens again.
            tracing::info!(%blob, %error, "cannot remove a zip yet");
        }
    }
}

/// Copies the bytes of an object to a blob; it blocks.
fn copy(
    store: &Store,
    reader: &Reader,
    len: u64,
) -> Result<(impl AsRef<[u8]> + use<>, Pinned), store::Error> {
    let mut writer = store.blobs().writer()?;
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < len {
        let piece = reader.read(at..len.min(at + CHUNK)).map_err(|error| store::Error::File {
            action: "read",
            path: "an object".into(),
            source: error.into(),
        })?;
        at += piece.len() as u64;
        hash.update(&piece);
        writer.append(&piece)?;
    }
    Ok((hash.finalize(), writer.finish()?))
}

fn code_id(hash: impl AsRef<[u8]>) -> CodeId {
    CodeId(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn no_key() -> Fault {
    from_s3("NoSuchKey", "The specified key does not exist.")
}

fn from_s3(code: &str, message: &str) -> Fault {
    invalid(format!("Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"))
}

fn too_large() -> Fault {
    invalid(format!("Unzipped size must be smaller than {} bytes", limits::PACKAGE_UNPACKED))
}

fn unpackable(error: PackageError) -> Error {
    match error {
        PackageError::Store(error) => error.into(),
        PackageError::TooLarge => too_large().into(),
        PackageError::NotAnArchive(_) => {
            invalid("Could not unzip uploaded file. Please check your file, then try to upload again.").into()
        }
        error => invalid(format!(
            "Could not unzip uploaded file. Please check your file, then try to upload again. The reason: {error}."
        ))
        .into(),
    }
}
