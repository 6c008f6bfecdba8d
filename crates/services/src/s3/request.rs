//! A request on its way to `s3s`: without its signature, its wishes checked, its body verified while it streams.

use super::body::{Report, Verified};
use super::checksum::Algorithm;
use super::error::not_supported;
use super::headers::Claims;
use super::operations::UNKNOWN;
use super::policy_condition::Asked;
use super::tags::Tags;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, RANGE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::{Lineage, RequestId, Timestamp};
use s3s::dto::{self, TimestampFormat};
use s3s::{HttpRequest, S3Error, S3ErrorCode, S3Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wire::credential::query_pairs;
use wire::{Caller, Request};

/// What an operation knows of the request beside its input.
#[derive(Clone)]
pub(super) struct Context {
    /// Names the request.
    pub(super) id: RequestId,
    /// Who claims to have signed it.
    pub(super) access_key: String,
    /// The region that it was signed for.
    pub(super) region: String,
    /// The tags of a bucket that is made by it.
    pub(super) bucket_tags: Tags,
    /// The account that acts; `None` if nobody signed it: it may do what everybody may.
    pub(super) account: Option<String>,
    /// Where it comes from.
    pub(super) ip: IpAddr,
    /// The checksum that it claims its body has, or that comes behind it.
    pub(super) claimed: Option<Algorithm>,
    /// The functions whose events led to it.
    pub(super) lineage: Lineage,
    /// What becomes known of its body.
    pub(super) report: Report,
}

impl Context {
    /// What the conditions of policies can ask of it.
    pub(super) fn asked<'a>(&'a self, headers: &'a HeaderMap, query: &'a str, now: Timestamp) -> Asked<'a> {
        Asked {
            account: self.account.as_deref(),
            headers: Some(headers),
            query,
            now,
            ip: Some(self.ip),
            tags: &[],
        }
    }
}

/// The parameters of a presigned URL: [`wire::credential`] has checked them.
const SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
];

/// The same of version 2, which signs the type and the digest of the body under their own names.
const SIGNATURE_V2: &[&str] = &["awsaccesskeyid", "signature", "expires", "content-type", "content-md5"];

/// Makes `request` ready for `s3s`, and says where what becomes known of its body will be found.
pub(super) fn prepare(request: Request, bucket_tags: Tags) -> S3Result<(HttpRequest, Report)> {
    let account = account(&request);
    let ip = ip(&request);
    let Request { mut head, body, credential, id, caller: _ } = request;
    head.headers.remove(AUTHORIZATION);
    take_query(&mut head.uri, &mut head.headers)?;
    refuse_unknown(&head.method, &head.uri)?;
    ignore_unreadable_range(&mut head.headers);
    quote_etags(&mut head.headers);
    join_metadata(&mut head.headers);
    read_plus(&mut head.headers);
    ignore_unreadable_dates(&mut head.headers);
    let report = Report::default();
    let mut claimed = None;
    let body = match head.method {
        Method::PUT | Method::POST => {
            let claims = if completes_upload(&head.method, &head.uri) {
                Claims::take_without_checksums(&mut head.headers)?
            } else {
                Claims::take(&mut head.headers)?
            };
            claimed = claims.algorithm();
            s3s::Body::http_body_unsync(Verified::new(body, claims, report.clone()))
        }
        // No other method's body means anything.
        _ => s3s::Body::empty(),
    };
    let header = head.headers.get("x-amzn-trace-id").and_then(|header| header.to_str().ok());
    let lineage = header.map(Lineage::of_header).unwrap_or_default();
    let (access_key, region) =
        credential.map(|credential| (credential.access_key, credential.region)).unwrap_or_default();
    let report_ = report.clone();
    head.extensions.insert(Context {
        id,
        access_key,
        region,
        bucket_tags,
        account,
        ip,
        claimed,
        lineage,
        report: report_,
    });
    Ok((HttpRequest::from_parts(head, body), report))
}

/// The account that acts, if somebody signed or a function asks.
pub(super) fn account(request: &Request) -> Option<String> {
    let known = request.credential.is_some() || request.caller != Caller::Outside;
    known.then(|| request.scope().account)
}

/// Where a request comes from: what listens on loopback is reached from there.
fn ip(request: &Request) -> IpAddr {
    let peer = request.head.extensions.get::<SocketAddr>();
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::ip)
}

/// Takes the signature out of the query, and turns the headers that presigning moved there back into headers.
fn take_query(uri: &mut Uri, headers: &mut HeaderMap) -> S3Result<()> {
    let Some(query) = uri.query() else { return Ok(()) };
    let lower = query.to_ascii_lowercase();
    let version_2 = lower.contains("awsaccesskeyid=") && lower.contains("signature=");
    if !lower.contains("x-amz-") && !version_2 {
        return Ok(());
    }
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = query_pairs(pair).next() else { continue };
        let name = name.to_ascii_lowercase();
        if version_2 && SIGNATURE_V2.contains(&name.as_str()) {
            continue;
        }
        if !name.starts_with("x-amz-") {
            kept.push(pair);
            continue;
        }
        // S3 does not hold the body against a checksum in the query: SDKs sign that of an empty body there.
        let checksum = name.starts_with("x-amz-checksum-") && name != "x-amz-checksum-mode";
        if SIGNATURE.contains(&name.as_str()) || checksum || name == "x-amz-sdk-checksum-algorithm" {
            continue;
        }
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unreadable(&name))?;
        let value = HeaderValue::from_str(&value).map_err(|_| unreadable(&name))?;
        headers.entry(header).or_insert(value);
    }
    let path = uri.path();
    let target = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| S3ErrorCode::InvalidURI)?);
    *uri = Uri::from_parts(parts).map_err(|_| S3ErrorCode::InvalidURI)?;
    Ok(())
}

/// Refuses the operations that `s3s` would take for others.
fn refuse_unknown(method: &Method, uri: &Uri) -> S3Result<()> {
    let Some(query) = uri.query() else { return Ok(()) };
    for (name, _) in query_pairs(query) {
        let unknown = UNKNOWN.iter().find(|(of, parameter, _)| method.as_str() == *of && name == *parameter);
        if let Some((_, _, operation)) = unknown {
            return Err(not_supported(format_args!("The operation {operation}")));
        }
    }
    Ok(())
}

/// Whether the checksums in a request's headers are those of the object that an upload becomes.
fn completes_upload(method: &Method, uri: &Uri) -> bool {
    *method == Method::POST
        && query_pairs(uri.query().unwrap_or_default()).any(|(name, _)| name == "uploadId")
}

fn unreadable(name: &str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, format!("The parameter {name} cannot be read."))
}

/// Whether a request is an HTML form: `s3s` would hold its file in memory.
pub(super) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let form = b"multipart/form-data";
    *method == Method::POST && kind.get(..form.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(form))
}

/// As HTTP says and S3 does, a range that cannot be read, or that names several parts, is no range.
fn ignore_unreadable_range(headers: &mut HeaderMap) {
    let readable = headers.get(RANGE).is_some_and(|range| {
        range.to_str().is_ok_and(|range| is_forward(range) && s3s::dto::Range::parse(range).is_ok())
    });
    if !readable {
        headers.remove(RANGE);
    }
}

/// Whether a range has an end, and does not end before it begins: such a one is none.
fn is_forward(range: &str) -> bool {
    let ends = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    if ends.is_some_and(|(first, last)| first.trim().is_empty() && last.trim().is_empty()) {
        return false;
    }
    let number = |text: &str| text.trim().parse::<u64>().ok();
    !ends.is_some_and(|(first, last)| {
        number(first).zip(number(last)).is_some_and(|(first, last)| last < first)
    })
}

/// Conditions whose ETags S3 takes without their quotes.
const ETAGS: &[&str] =
    &["if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match"];

fn quote_etags(headers: &mut HeaderMap) {
    for name in ETAGS {
        let Some(value) = headers.get(*name).and_then(|value| value.to_str().ok()).map(str::trim) else {
            continue;
        };
        if value != "*"
            && !value.contains('"')
            && let Ok(quoted) = HeaderValue::from_str(&format!("\"{value}\""))
        {
            headers.insert(*name, quoted);
        }
    }
}

/// In the name of a copy's source, S3 takes `+` for a space, as in a query.
fn read_plus(headers: &mut HeaderMap) {
    let name = "x-amz-copy-source";
    let source =
        headers.get(name).and_then(|value| value.to_str().ok()).filter(|source| source.contains('+'));
    if let Some(Ok(source)) = source.map(|source| HeaderValue::from_str(&source.replace('+', "%20"))) {
        headers.insert(name, source);
    }
}

/// Metadata that comes in several headers of one name is one value, as HTTP joins them.
fn join_metadata(headers: &mut HeaderMap) {
    let several = |name: &&HeaderName| {
        name.as_str().starts_with("x-amz-meta-") && headers.get_all(*name).iter().nth(1).is_some()
    };
    let names: Vec<HeaderName> = headers.keys().filter(several).cloned().collect();
    for name in names {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
}

/// A date that cannot be read is no condition, as HTTP says.
fn ignore_unreadable_dates(headers: &mut HeaderMap) {
    for name in [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        let readable = headers.get(&name).is_some_and(|date| {
            date.to_str().is_ok_and(|date| dto::Timestamp::parse(TimestampFormat::HttpDate, date).is_ok())
        });
        if !readable {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uri: &'static str) -> (String, HeaderMap) {
        let (mut uri, mut headers) = (Uri::from_static(uri), HeaderMap::new());
        take_query(&mut uri, &mut headers).unwrap();
        (uri.to_string(), headers)
    }

    #[test]
    fn a_presigned_query_loses_its_signature_and_gives_its_headers_back() {
        let (uri, headers) = taken(
            "/b/k%20y?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Date=1&X-Amz-Expires=1\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Security-Token=t&x-id=PutObject\
             &response-content-type=text%2Fplain&x-amz-meta-colour=light%20red&X-Amz-Acl=private\
             &x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32",
        );
        assert_eq!(uri, "/b/k%20y?x-id=PutObject&response-content-type=text%2Fplain");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-amz-meta-colour"], "light red");
        assert_eq!(headers["x-amz-acl"], "private");
    }

    #[test]
    fn conditions_metadata_and_sources_are_read_as_s3_reads_them() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("if-match", "abc"),
            ("if-none-match", "*"),
            ("x-amz-copy-source-if-match", "\"abc\""),
            ("x-amz-copy-source", "/b/a+b%2Bc"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        quote_etags(&mut headers);
        join_metadata(&mut headers);
        read_plus(&mut headers);
        assert_eq!(
            (&headers["if-match"], &headers["if-none-match"]),
            (&"\"abc\"".parse().unwrap(), &"*".parse().unwrap())
        );
        assert_eq!(headers["x-amz-copy-source-if-match"], "\"abc\"");
        assert_eq!(headers["x-amz-copy-source"], "/b/a%20b%2Bc");
        assert_eq!(headers.get_all("x-amz-meta-a").iter().collect::<Vec<_>>(), ["1,2"]);
    }

    #[test]
    fn other_queries_stay_as_they_are() {
        assert_eq!(taken("/b?list-type=2&prefix=a%2Fb").0, "/b?list-type=2&prefix=a%2Fb");
        assert_eq!(taken("/b?X-Amz-Signature=1").0, "/b");
        assert_eq!(taken("/b/k?AWSAccessKeyId=a&Signature=b%3D&Expires=1&versionId=v").0, "/b/k?versionId=v");
        assert_eq!(taken("http://h:1/b?a&X-Amz-Signature=1").0, "http://h:1/b?a");
    }

    #[test]
    fn ranges_that_mean_nothing_are_no_ranges() {
        for (range, kept) in
            [("bytes=0-1", true), ("bytes=-5", true), ("bytes=5-2", false), ("lines=1-2", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range));
            ignore_unreadable_range(&mut headers);
            assert_eq!(headers.contains_key(RANGE), kept, "{range}");
        }
    }
}
