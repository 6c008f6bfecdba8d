//! `ListMultipartUploads`: those under way, by key and then in the order in which they began.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use super::State;
use super::bucket::existing;
use super::error::{Error, Result, detailed};
use super::grants::owner;
use super::list_objects_v2::{Encoding, limit};
use super::parameters::check_query;
use super::request::Context;
use super::upload::{UPLOADS, Upload, read_id, shown, upload_key};
use super::version::{base, prefix_base, read_base};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, Initiator, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, MultipartUpload, StorageClass, Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::View;
use store::kv::From as Start;
use uuid::Uuid;

const PARAMETERS: &[&str] =
    &["uploads", "delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"];

/// How many records are read at once.
const BATCH: usize = 256;

/// Behind every upload of a key: no id is so long.
const BEHIND: [u8; 17] = [0xff; 17];

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListMultipartUploadsInput>,
) -> Result<S3Response<ListMultipartUploadsOutput>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type)?;
    let limit = limit(input.max_uploads, "max-uploads")?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        key: input.key_marker.clone().filter(|key| !key.is_empty()),
        id: match input.upload_id_marker.as_deref() {
            // Without a key it says nothing.
            Some(said)
                if !said.is_empty() && input.key_marker.as_deref().is_some_and(|key| !key.is_empty()) =>
            {
                let id = read_id(said);
                Some(id.ok_or_else(|| {
                    detailed(
                        S3ErrorCode::InvalidArgument,
                        "Invalid uploadId marker",
                        &[("ArgumentName", "upload-id-marker"), ("ArgumentValue", said)],
                    )
                })?)
            }
            _ => None,
        },
        limit,
    };
    let keyed = query.key.is_some();
    let store = state.store.clone();
    let reading = tokio::task::spawn_blocking(move || {
        store.read(|view| {
            existing(view, &query.bucket)?;
            query.read(view)
        })
    });
    let page = reading.await.map_err(|_| Error::Broken("a listing panicked"))??;
    let text = |value: Option<String>| value.map(|value| encoding.text(value));
    // S3 names the last of a page whether more follow or not.
    let last = page.uploads.last().map(|(key, id, _)| (key.clone(), Some(*id)));
    let (next_key, next_id) = page.next.clone().or(last).unwrap_or_default();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(
            page.prefixes
                .into_iter()
                .map(|prefix| CommonPrefix { prefix: Some(encoding.text(prefix)) })
                .collect(),
        ),
        delimiter: text(input.delimiter),
        encoding_type: encoding.name(),
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(encoding.text(input.key_marker.unwrap_or_default())),
        max_uploads: i32::try_from(limit).ok(),
        next_key_marker: Some(encoding.text(next_key)),
        next_upload_id_marker: Some(next_id.map(shown).unwrap_or_default()),
        prefix: text(input.prefix),
        request_charged: None,
        // Without a key it says nothing.
        upload_id_marker: Some(input.upload_id_marker.filter(|_| keyed).unwrap_or_default()),
        uploads: Some(
            page.uploads.into_iter().map(|(key, id, upload)| entry(encoding.text(key), id, upload)).collect(),
        ),
    }))
}

fn entry(key: String, id: Uuid, upload: Upload) -> MultipartUpload {
    let by = owner(upload.owner());
    let kind = if upload.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    MultipartUpload {
        // What nobody chose is not told.
        checksum_algorithm: upload.explicit.then(|| ChecksumAlgorithm::from(upload.algorithm)),
        checksum_type: upload.explicit.then(|| ChecksumType::from_static(kind)),
        initiated: Some(Timestamp::from(upload.initiated.to_date_time())),
        initiator: Some(Initiator { display_name: None, id: by.id.clone() }),
        key: Some(key),
        owner: Some(by),
        storage_class: Some(StorageClass::from(
            upload.storage_class.unwrap_or_else(|| StorageClass::STANDARD.to_owned()),
        )),
        upload_id: Some(shown(id)),
    }
}

struct Query {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    key: Option<String>,
    id: Option<Uuid>,
    limit: usize,
}

#[derive(Default)]
struct Page {
    uploads: Vec<(String, Uuid, Upload)>,
    prefixes: Vec<String>,
    /// The last entry, when more follow.
    next: Option<(String, Option<Uuid>)>,
}

impl Query {
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        key.get(..self.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }

    fn behind_group(&self, group: &str) -> Vec<u8> {
        let mut end = prefix_base(&self.bucket, group);
        end.push(0xff);
        end
    }

    fn read(&self, view: &View<'_>) -> Result<Page> {
        let mut page = Page::default();
        let first = prefix_base(&self.bucket, &self.prefix);
        let mut after = match (&self.key, self.id) {
            (None, _) => None,
            (Some(key), _) if self.group(key).is_some() => {
                self.group(key).map(|group| self.behind_group(group))
            }
            (Some(key), Some(id)) => Some(upload_key(&self.bucket, key, id)),
            (Some(key), None) => Some([base(&self.bucket, key).as_slice(), &BEHIND].concat()),
        };
        if self.limit == 0 {
            return Ok(page);
        }
        let mut last = (String::new(), None);
        'more: loop {
            let start = after.as_deref().map_or(Start::At(&first), Start::After);
            let records = view.scan(&UPLOADS, &first, start, BATCH)?;
            let ended = records.len() < BATCH;
            for (place, upload) in records {
                let key = read_base(&self.bucket, &place, 16)?;
                if page.uploads.len() + page.prefixes.len() == self.limit {
                    page.next = Some(last);
                    return Ok(page);
                }
                if let Some(group) = self.group(&key) {
                    page.prefixes.push(group.to_owned());
                    last = (group.to_owned(), None);
                    after = Some(self.behind_group(group));
                    continue 'more;
                }
                let id = place
                    .len()
                    .checked_sub(16)
                    .and_then(|at| Uuid::from_slice(place.get(at..)?).ok())
                    .ok_or(Error::Broken("an upload's record has a key that cannot be read"))?;
                last = (key.clone(), Some(id));
                after = Some(place);
                page.uploads.push((key, id, upload));
            }
            if ended {
                return Ok(page);
            }
        }
    }
}
