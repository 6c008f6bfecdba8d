//! `PostObject`: an upload by an HTML form, whose file is written while it comes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use super::State;
use super::authorize::{self, Deed};
use super::bucket::existing;
use super::change::Put;
use super::checksum::{Algorithm, Hashers};
use super::conditions::WriteConditions;
use super::description::{Described, Description, REDIRECT};
use super::error::{Error, Result, detailed, refuse};
use super::event::{Kind, Origin};
use super::form_policy::FormPolicy;
use super::headers::too_large;
use super::policy_condition::Asked;
use super::put_object::{New, store};
use super::sse;
use crate::object::cipher::Sealer;
use crate::object::incoming::Incoming;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::{Timestamp, limits};
use multer::Multipart;
use s3s::dto::{Timestamp as Date, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result};
use std::collections::BTreeMap;
use wire::credential::{parse_amz_date, query_pairs};
use wire::{Body, Response};

/// The most bytes of all fields before the file (20 KB), and the most fields.
const FIELDS: usize = 20 * 1024;
const MOST: usize = 100;

/// The fields of a form, by lower-case name.
type Fields = BTreeMap<String, String>;

/// Receives the form in `body`, sent to `bucket`.
pub(super) async fn run(
    state: &State,
    origin: Origin,
    head: &http::request::Parts,
    bucket: &str,
    body: Body,
) -> Result<Response> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let mut form = Multipart::new(http_body_util::BodyDataStream::new(body), boundary);
    let (mut fields, mut size) = (Fields::new(), 0);
    loop {
        let mut field = form
            .next_field()
            .await
            .map_err(malformed)?
            .ok_or_else(|| invalid("POST requires exactly one file upload per request."))?;
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            let file_name = field.file_name().unwrap_or_default().to_owned();
            let form = Form::of(state, &fields, bucket, &file_name)?;
            return form.receive(state, origin, head, field, &fields).await;
        }
        let mut value = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(malformed)? {
            size += piece.len();
            if size > FIELDS {
                return Err(refuse(
                    S3ErrorCode::Custom("MaxPostPreDataLengthExceededError".into()),
                    "Your POST request fields preceding the upload file were too large.",
                ));
            }
            value.extend_from_slice(&piece);
        }
        if fields.len() == MOST {
            return Err(invalid("The form has too many fields."));
        }
        let value = String::from_utf8(value).map_err(|_| invalid("A field of the form is not UTF-8."))?;
        fields.insert(name, value);
    }
}

fn invalid(message: &'static str) -> Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

fn malformed(_: multer::Error) -> Error {
    refuse(
        S3ErrorCode::MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data.",
    )
}

/// A POST to a bucket is a form, or deletes keys.
pub(super) fn refuse_other_posts(head: &http::request::Parts) -> S3Result<()> {
    let query = head.uri.query().unwrap_or_default();
    if head.method != http::Method::POST || query_pairs(query).any(|(name, _)| name != "x-id") {
        return Ok(());
    }
    Err(S3Error::with_message(
        S3ErrorCode::PreconditionFailed,
        "Bucket POST must be of the enclosure-type multipart/form-data",
    ))
}

/// A form whose fields were found right.
struct Form {
    bucket: String,
    key: String,
    account: Option<String>,
    length: Option<(u64, u64)>,
    headers: HeaderMap,
}

impl Form {
    fn of(state: &State, fields: &Fields, bucket: &str, file_name: &str) -> Result<Self> {
        let key = fields.get("key").ok_or_else(|| missing("key"))?;
        let key = key.replace("${filename}", file_name.rsplit(['/', '\\']).next().unwrap_or_default());
        if key.is_empty() {
            return Err(invalid("User key must have a length greater than 0."));
        }
        if key.len() > 1_024 {
            return Err(super::access::too_long(&key).into());
        }
        if super::access::climbs_out(&key) {
            return Err(Error::Refused(S3ErrorCode::InvalidURI.into()));
        }
        let (account, length) = match fields.get("policy") {
            Some(policy) => {
                let account = check_signature(fields, state.store.now())?;
                let policy = FormPolicy::read(policy, state.store.now())?;
                policy.check(fields, bucket)?;
                (Some(account), policy.length())
            }
            None => {
                // Who signs signs a policy.
                if fields.keys().any(|name| SIGNATURE.contains(&name.as_str())) {
                    return Err(missing("policy"));
                }
                (None, None)
            }
        };
        state.store.read(|view| existing(view, bucket))?;
        let headers = as_headers(fields)?;
        let (account_, now) = (account.as_deref(), state.store.now());
        let asked = Asked { account: account_, headers: Some(&headers), now, ..Asked::default() };
        let deed = Deed { operation: "PostObject", bucket, key: Some(&key), version: None };
        state.store.read(|view| authorize::check(view, deed, &asked))?;
        Ok(Form { bucket: bucket.to_owned(), key, account, length, headers })
    }

    async fn receive(
        self,
        state: &State,
        mut origin: Origin,
        head: &http::request::Parts,
        mut file: multer::Field<'_>,
        fields: &Fields,
    ) -> Result<Response> {
        let (key, encryption) = sse::for_new(state, &self.headers)?;
        let field = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
        let metadata = fields
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())));
        let expires = field("expires")
            .map(|at| Date::parse(TimestampFormat::HttpDate, &at))
            .transpose()
            .map_err(|_| invalid("The field Expires is no date."))?;
        let description = Description {
            content_type: field("content-type"),
            cache_control: field("cache-control"),
            content_disposition: field("content-disposition"),
            content_encoding: field("content-encoding"),
            content_language: field("content-language"),
            expires,
            metadata: Some(metadata.collect()),
        };
        let mut described = Described::of(description, &self.headers)?;
        if let Some(tagging) = fields.get("tagging") {
            described.tags = tagging_of(tagging)?;
        }
        let claimed = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, fields.get(algorithm.header())?.clone())))
            .collect::<Vec<_>>();
        if let Some((algorithm, _)) = claimed.iter().find(|(algorithm, value)| !algorithm.accepts(value)) {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                format!("Value for {} header is invalid.", algorithm.header()),
            ));
        }
        if claimed.len() > 1 {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        let claimed = claimed.into_iter().next();
        let algorithm = claimed.as_ref().map_or(Algorithm::Crc64Nvme, |(algorithm, _)| *algorithm);
        let (mut incoming, mut hashers) =
            (Incoming::new(&state.store, Some(Sealer::new(&key)?)), Hashers::new(algorithm, false));
        while let Some(piece) = file.chunk().await.map_err(malformed)? {
            if incoming.len() + piece.len() as u64 > self.length.map_or(limits::OBJECT, |(_, most)| most) {
                return Err(match self.length {
                    Some((_, most)) => detailed(
                        S3ErrorCode::EntityTooLarge,
                        "Your proposed upload exceeds the maximum allowed size",
                        &[
                            ("ProposedSize", &(incoming.len() + piece.len() as u64).to_string()),
                            ("MaxSizeAllowed", &most.to_string()),
                        ],
                    ),
                    None => too_large().into(),
                });
            }
            hashers.update(&piece);
            incoming.append(&piece).await?;
        }
        if let Some((least, _)) = self.length
            && incoming.len() < least
        {
            return Err(detailed(
                S3ErrorCode::EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size",
                &[("ProposedSize", &incoming.len().to_string()), ("MinSizeAllowed", &least.to_string())],
            ));
        }
        let digests = hashers.finish();
        if claimed.is_some_and(|(_, value)| value != digests.checksum) {
            return Err(refuse(
                S3ErrorCode::BadDigest,
                format!("The {} you specified did not match the calculated checksum.", algorithm.name()),
            ));
        }
        if let Some(user) = field("x-amz-credential").as_deref().and_then(|scope| scope.split('/').next()) {
            user.clone_into(&mut origin.access_key);
        }
        origin.account = self.account.clone().unwrap_or_default();
        let len = incoming.len();
        let new = New { received: incoming.finish().await?, len, digests, encryption, described };
        let at = (self.bucket.clone(), self.key.clone());
        let put = store(state, &origin, at, new, WriteConditions::default(), Kind::Posted).await?;
        answer(head, &self.bucket, &self.key, &put, fields)
    }
}

/// The form must carry a signature, of version 4 or of version 2; as elsewhere, it is not verified while the server listens
/// on loopback. The account that signed.
fn check_signature(fields: &Fields, now: Timestamp) -> Result<String> {
    let account = |key: &str| wire::account_of_key(key).unwrap_or_else(|| model::ACCOUNT.to_owned());
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_empty());
    let version_4 = SIGNATURE.iter().any(|name| has(name));
    let names = if version_4 { SIGNATURE } else { SIGNATURE_V2 };
    if !names.iter().any(|name| has(name)) {
        return Err(refuse(S3ErrorCode::AccessDenied, "Access Denied"));
    }
    if let Some(absent) = names.iter().find(|name| !has(name)) {
        return Err(missing(absent));
    }
    if let (false, Some(key)) = (version_4, fields.get("awsaccesskeyid")) {
        return Ok(account(key));
    }
    if fields.get("x-amz-algorithm").is_some_and(|algorithm| algorithm != "AWS4-HMAC-SHA256") {
        return Err(invalid("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let credential = fields.get("x-amz-credential").map(String::as_str).unwrap_or_default();
    let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
    match scope.as_slice() {
        ["aws4_request", "s3", _region, day, key] => {
            check_date(fields.get("x-amz-date").map(String::as_str).unwrap_or_default(), day, now)?;
            Ok(account(key))
        }
        _ => Err(refuse(
            S3ErrorCode::InvalidArgument,
            "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        )),
    }
}

/// The fields of a signature of version 4.
const SIGNATURE: &[&str] = &["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];

/// Those of version 2.
const SIGNATURE_V2: &[&str] = &["awsaccesskeyid", "signature"];

/// For how long a signature is good.
const OLDEST_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Refuses a time of signing that is none, is not on the credential's day, or is too long ago.
fn check_date(date: &str, day: &str, now: Timestamp) -> Result<()> {
    let at = parse_amz_date(date).ok_or_else(|| {
        invalid("X-Amz-Date must be formatted via ISO8601 Long format \"yyyyMMdd'T'HHmmss'Z'\"")
    })?;
    if !date.starts_with(day) {
        return Err(invalid("Invalid credential date. This date is not the same as X-Amz-Date."));
    }
    if at.0 < now.0 && now.0.abs_diff(at.0) > OLDEST_MS {
        return Err(refuse(S3ErrorCode::AccessDenied, "Invalid according to Policy: Policy expired."));
    }
    Ok(())
}

/// The error for a form without the field `name`, which it spells as S3 does.
fn missing(name: &str) -> Error {
    let upper = |word: &str| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
    let name = match name {
        "awsaccesskeyid" => "AWSAccessKeyId".to_owned(),
        "key" | "policy" | "file" => name.to_owned(),
        _ => name.split('-').map(upper).collect::<Vec<_>>().join("-"),
    };
    detailed(
        S3ErrorCode::InvalidArgument,
        format!(
            "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
        ),
        &[("ArgumentName", &name), ("ArgumentValue", "")],
    )
}

/// The fields that say what headers say of a put.
fn as_headers(fields: &Fields) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let taken = name.starts_with("x-amz-server-side-encryption")
            || name.starts_with("x-amz-object-lock-")
            || matches!(name.as_str(), "x-amz-storage-class" | REDIRECT);
        let name = if name == "acl" { "x-amz-acl" } else { name };
        if !taken && name != "x-amz-acl" {
            continue;
        }
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("A field's name is wrong."))?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid("A field's value is wrong."))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The tags in the field `tagging`, which is a document.
fn tagging_of(document: &str) -> Result<super::tags::Tags> {
    let mut reader = s3s::xml::Deserializer::new(document.as_bytes());
    let tagging = <s3s::dto::Tagging as s3s::xml::Deserialize>::deserialize(&mut reader).map_err(|_| {
        refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    })?;
    super::tags::of_set(tagging.tag_set, super::tags::OF_OBJECT)
}

fn answer(
    head: &http::request::Parts,
    bucket: &str,
    key: &str,
    put: &Put,
    fields: &Fields,
) -> Result<Response> {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let path = super::encoding::encode_key(key).replace('+', "%20");
    let location = format!("http://{host}/{bucket}/{path}");
    let etag = format!("\"{}\"", put.object.etag);
    let mut response = Response::new(Body::empty());
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(ETAG, &etag);
    set(LOCATION, &location);
    for (algorithm, value) in &put.object.checksums {
        let name = format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase());
        if let Ok(name) = HeaderName::try_from(name) {
            set(name, value);
        }
    }
    if let Some(version) = &put.version {
        set(HeaderName::from_static("x-amz-version-id"), version);
    }
    let redirect = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
    if let Some(to) = redirect.filter(|to| to.starts_with("http://") || to.starts_with("https://")) {
        let separator = if to.contains('?') { '&' } else { '?' };
        let query = format!("bucket={bucket}&key={path}&etag=%22{}%22", put.object.etag);
        set(LOCATION, &format!("{to}{separator}{query}"));
        *response.status_mut() = StatusCode::SEE_OTHER;
        return Ok(response);
    }
    match fields.get("success_action_status").map(String::as_str) {
        Some("200") => {}
        Some("201") => {
            let text = |value: &str| value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let document = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{bucket}</Bucket>\
                 <Key>{}</Key><ETag>&quot;{}&quot;</ETag></PostResponse>",
                text(&location),
                text(key),
                put.object.etag
            );
            set(CONTENT_TYPE, "application/xml");
            *response.status_mut() = StatusCode::CREATED;
            *response.body_mut() = Body::from(bytes::Bytes::from(document));
        }
        _ => *response.status_mut() = StatusCode::NO_CONTENT,
    }
    Ok(response)
}
