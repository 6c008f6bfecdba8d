//! The credential that a request was signed with.
//!
//! While the server listens on loopback only, any access key is taken and signatures are not verified; the
//! credential's scope still says which service a request is for, and a presigned URL still expires.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use crate::Fault;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use model::{REGION, Timestamp, limits};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use time::PrimitiveDateTime;
use time::macros::format_description;

/// `Credential=ACCESS_KEY/DATE/REGION/SERVICE/aws4_request`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Who claims to have signed.
    pub access_key: String,
    /// The region in the scope.
    pub region: String,
    /// The service in the scope, for instance `lambda`.
    pub service: String,
}

/// How far ahead of the server's clock a presigned URL may have been made.
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

impl Credential {
    /// The credential of a request, from its `Authorization` header or its presigned query.
    ///
    /// # Errors
    /// A fault when a credential is there and malformed, or expired.
    pub fn of(headers: &HeaderMap, query: Option<&str>, now: Timestamp) -> Result<Option<Self>, Fault> {
        if let Some(value) = headers.get(AUTHORIZATION) {
            let value =
                value.to_str().map_err(|_| malformed("the Authorization header is not plain text"))?;
            return Credential::from_header(value);
        }
        let Some(query) = query else { return Ok(None) };
        if query_value(query, "X-Amz-Signature").is_some() || query_value(query, "X-Amz-Credential").is_some()
        {
            return Credential::from_presigned(query, now).map(Some);
        }
        if query_value(query, "AWSAccessKeyId").is_some() && query_value(query, "Signature").is_some() {
            return Credential::from_presigned_v2(query, now).map(Some);
        }
        Ok(None)
    }

    /// `None` for a scheme that is not AWS's: a function URL's own business.
    fn from_header(value: &str) -> Result<Option<Self>, Fault> {
        if let Some(rest) = value.strip_prefix("AWS ") {
            let (access_key, _) = rest.split_once(':').ok_or_else(|| malformed("it is not KEY:SIGNATURE"))?;
            return Ok(Some(Credential::of_v2(access_key)));
        }
        let Some(rest) = value.strip_prefix("AWS4-HMAC-SHA256") else { return Ok(None) };
        let credential = rest
            .split(',')
            .find_map(|part| part.trim().strip_prefix("Credential="))
            .ok_or_else(|| malformed("the Authorization header has no Credential"))?;
        Credential::parse(credential).map(|(credential, _)| Some(credential))
    }

    fn from_presigned(query: &str, now: Timestamp) -> Result<Self, Fault> {
        let need = |name: &str| {
            query_value(query, name).filter(|value| !value.is_empty()).ok_or_else(|| {
                parameters(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
                )
            })
        };
        if need("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            return Err(parameters("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let [credential, _signature, date, _headers, expires] =
            ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"]
                .map(need);
        let (credential, date, expires) = (credential?, date?, expires?);
        _signature?;
        _headers?;
        let (credential, day) = Credential::parse(&credential).map_err(|_| {
            parameters(
                "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
                 \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            )
        })?;
        let expires = expires.parse::<i64>().map_err(|_| parameters("X-Amz-Expires should be a number"))?;
        let expires = u64::try_from(expires)
            .map(Duration::from_secs)
            .map_err(|_| parameters("X-Amz-Expires must be non-negative"))?;
        if expires > limits::PRESIGNED_EXPIRY {
            return Err(parameters(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
                 604800 seconds",
            ));
        }
        let made = parse_amz_date(&date).ok_or_else(|| {
            parameters("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        if !date.starts_with(&day) {
            return Err(parameters(format!(
                "Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{}\".",
                date.get(..8).unwrap_or_default()
            )));
        }
        if made.after(expires) < now {
            return Err(Fault::new("AccessDenied", 403, "Request has expired"));
        }
        if made > now.after(CLOCK_SKEW) {
            return Err(Fault::new("AccessDenied", 403, "Request is not valid yet"));
        }
        Ok(credential)
    }

    /// Version 2, as boto3 still makes presigned URLs where nobody tells it otherwise.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html>
    fn from_presigned_v2(query: &str, now: Timestamp) -> Result<Self, Fault> {
        let expires =
            query_value(query, "Expires").and_then(|text| text.parse::<i64>().ok()).ok_or_else(|| {
                Fault::new("AccessDenied", 403, "Invalid date (should be seconds since epoch): Expires")
            })?;
        if expires.saturating_mul(1000) < now.0 {
            return Err(Fault::new("AccessDenied", 403, "Request has expired"));
        }
        Ok(Credential::of_v2(&query_value(query, "AWSAccessKeyId").unwrap_or_default()))
    }

    /// Version 2 has no scope: only S3 takes it, in the region that needs no name.
    fn of_v2(access_key: &str) -> Self {
        Credential { access_key: access_key.to_owned(), region: REGION.to_owned(), service: "s3".to_owned() }
    }

    /// With the day in its scope.
    fn parse(credential: &str) -> Result<(Self, String), Fault> {
        // An access key may hold slashes in theory, so the scope is taken from the end.
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        match (next(), next(), next(), next(), next()) {
            (Some("aws4_request"), Some(service), Some(region), Some(day), Some(access_key)) => {
                let credential = Credential {
                    access_key: access_key.to_owned(),
                    region: region.to_owned(),
                    service: service.to_owned(),
                };
                Ok((credential, day.to_owned()))
            }
            _ => Err(malformed("a credential must look like ACCESS_KEY/DATE/REGION/SERVICE/aws4_request")),
        }
    }
}

fn malformed(what: &str) -> Fault {
    Fault::new("IncompleteSignatureException", 400, format!("The signature cannot be read: {what}."))
}

fn parameters(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new("AuthorizationQueryParametersError", 400, message.into())
}

/// The decoded value of the first query parameter called `name`.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query_pairs(query).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The decoded pairs of a query string, in order.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(key), decode_query(value))
    })
}

fn decode_query(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A time as version 4 writes it: `20260131T120000Z`.
pub fn parse_amz_date(text: &str) -> Option<Timestamp> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    Some(Timestamp(at.unix_timestamp() * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_769_860_800_000); // 2026-01-31T12:00:00Z

    fn from_header(value: &str) -> Result<Option<Credential>, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        Credential::of(&headers, None, NOW)
    }

    fn presigned(date: &str, expires: &str) -> Result<Option<Credential>, Fault> {
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key%2F20260131%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
        );
        Credential::of(&HeaderMap::new(), Some(&query), NOW)
    }

    #[test]
    fn the_scope_of_a_signed_request_is_read() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20260131/eu-west-1/lambda/aws4_request, \
                      SignedHeaders=host, Signature=abc";
        let credential = from_header(header).unwrap().unwrap();
        assert_eq!(
            (credential.access_key.as_str(), credential.region.as_str(), credential.service.as_str()),
            ("AKID", "eu-west-1", "lambda")
        );
        assert_eq!(from_header("Bearer token").unwrap(), None);
    }

    #[test]
    fn malformed_signatures_are_refused() {
        for header in
            ["AWS key", "AWS4-HMAC-SHA256 Signature=x", "AWS4-HMAC-SHA256 Credential=a/b/c, Signature=x"]
        {
            assert_eq!(from_header(header).unwrap_err().code, "IncompleteSignatureException", "{header}");
        }
    }

    #[test]
    fn version_2_is_read_for_s3_and_expires() {
        let header = from_header("AWS key:signature").unwrap().unwrap();
        assert_eq!((header.access_key.as_str(), header.service.as_str()), ("key", "s3"));
        let presigned = |expires: &str| {
            let query = format!("AWSAccessKeyId=key&Signature=abc%3D&Expires={expires}");
            Credential::of(&HeaderMap::new(), Some(&query), NOW)
        };
        assert_eq!(presigned("1769860801").unwrap().unwrap(), header);
        assert_eq!(presigned("1769860799").unwrap_err().message, "Request has expired");
        assert_eq!(presigned("tomorrow").unwrap_err().code, "AccessDenied");
    }

    #[test]
    fn a_presigned_url_expires() {
        assert_eq!(presigned("20260131T115900Z", "61").unwrap().unwrap().service, "s3");
        assert_eq!(presigned("20260131T115900Z", "59").unwrap_err().message, "Request has expired");
        assert_eq!(presigned("20260131T130000Z", "59").unwrap_err().code, "AccessDenied");
        for (date, expires) in [
            ("20260131T115900Z", "604801"),
            ("20260131T115900Z", "-1"),
            ("20260131T115900Z", "soon"),
            ("20260130T115900Z", "60"),
            ("yesterday", "60"),
        ] {
            let code = presigned(date, expires).unwrap_err().code;
            assert_eq!(code, "AuthorizationQueryParametersError", "{date} {expires}");
        }
    }
}
