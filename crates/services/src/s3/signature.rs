//! What a signature says of itself: its parts, its day and its time. Whether it is right is not asked while the server
//! listens on loopback; whether it could be is.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use model::Timestamp;
use s3s::dto::{self, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result};
use std::borrow::Cow;
use wire::credential::parse_amz_date;

/// How far apart the clocks of a client and of the server may be.
const SKEW_MS: u64 = 15 * 60 * 1000;

/// Refuses a signature in a header that could not be right at `now`.
pub(super) fn check(headers: &HeaderMap, now: Timestamp) -> S3Result<()> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // An empty one is none.
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
    let day = match value.strip_prefix("AWS4-HMAC-SHA256") {
        Some(components) => Some(day_of(components)?),
        None if value.starts_with("AWS ") => None,
        None => {
            return Err(S3Error::with_message(
                S3ErrorCode::InvalidArgument,
                "Unsupported Authorization Type",
            ));
        }
    };
    let made = time_of(headers).ok_or_else(|| {
        S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "AWS authentication requires a valid Date or x-amz-date header",
        )
    })?;
    if let Some(day) = day
        && day != made.day
    {
        return Err(malformed(format!(
            "Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{}\".",
            made.day
        )));
    }
    if made.at.0.abs_diff(now.0) > SKEW_MS {
        return Err(S3Error::with_message(
            S3ErrorCode::RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large.",
        ));
    }
    Ok(())
}

/// The day in the credential of a header whose three components are there.
fn day_of(components: &str) -> S3Result<String> {
    let (mut credential, mut signed, mut signature) = (None, None, None);
    for component in components.split(',').map(str::trim) {
        let (name, value) = component
            .split_once('=')
            .ok_or_else(|| malformed(format!("the authorization component \"{component}\" is malformed.")))?;
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed = Some(value),
            "Signature" => signature = Some(value),
            _ => {}
        }
    }
    let given = |value: Option<&str>, name: &str| match value {
        Some(value) if !value.is_empty() => Ok(()),
        _ => Err(malformed(format!("missing {name}."))),
    };
    given(credential, "Credential")?;
    given(signed, "SignedHeaders")?;
    given(signature, "Signature")?;
    // The scope itself was read when the service was found.
    let day = credential.unwrap_or_default().rsplit('/').nth(3).unwrap_or_default();
    if day.len() != 8 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(format!(
            "incorrect date format \"{day}\". This date in the credential must be in the format \"yyyyMMdd\"."
        )));
    }
    Ok(day.to_owned())
}

struct Made {
    at: Timestamp,
    day: String,
}

/// When a request says that it was signed: `x-amz-date` counts before `Date`.
fn time_of(headers: &HeaderMap) -> Option<Made> {
    let said = headers.get("x-amz-date").or_else(|| headers.get(DATE))?.to_str().ok()?;
    let at = parse_amz_date(said).or_else(|| {
        let date = dto::Timestamp::parse(TimestampFormat::HttpDate, said).ok()?;
        Some(Timestamp(time::OffsetDateTime::from(date).unix_timestamp().saturating_mul(1000)))
    });
    // Before the beginning of time there was no request.
    let at = at.filter(|at| at.0 >= 0)?;
    let day = at.to_date_time().date();
    Some(Made { at, day: format!("{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day()) })
}

fn malformed(message: impl Into<Cow<'static, str>>) -> S3Error {
    let message = format!("The authorization header is malformed; {}", message.into());
    let mut error = S3Error::with_message(S3ErrorCode::AuthorizationHeaderMalformed, message);
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_that_cannot_be_right_is_refused() {
        let now = Timestamp(1_769_860_800_000); // 2026-01-31T12:00:00Z
        let whole = "AWS4-HMAC-SHA256 Credential=k/20260131/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        for (authorization, name, date, expected) in [
            (whole, "x-amz-date", "20260131T120000Z", "ok"),
            (whole, "x-amz-date", "20260131T114501Z", "ok"),
            (whole, "date", "Sat, 31 Jan 2026 12:14:00 GMT", "ok"),
            (whole, "x-amz-date", "20260131T114459Z", "RequestTimeTooSkewed"),
            (whole, "x-amz-date", "20260130T120000Z", "AuthorizationHeaderMalformed"),
            (whole, "x-amz-date", "yesterday", "AccessDenied"),
            (whole, "x-amz-other", "", "AccessDenied"),
            ("AWS k:s", "x-amz-date", "Sat, 31 Jan 2026 12:00:00 GMT", "ok"),
            ("AWS k:s", "x-amz-date", "Tue, 07 Jul 2026 12:00:00 GMT", "RequestTimeTooSkewed"),
            ("AWS k:s", "x-amz-date", "Fri, 07 Jul 1950 21:53:04 GMT", "AccessDenied"),
            ("AWS5 x", "x-amz-date", "20260131T120000Z", "InvalidArgument"),
            (
                &whole.replace("SignedHeaders=host, ", ""),
                "x-amz-date",
                "20260131T120000Z",
                "AuthorizationHeaderMalformed",
            ),
            (
                &whole.replace("Signature=0", "Signature"),
                "x-amz-date",
                "20260131T120000Z",
                "AuthorizationHeaderMalformed",
            ),
            (
                &whole.replace("/20260131/", "/2026/"),
                "x-amz-date",
                "20260131T120000Z",
                "AuthorizationHeaderMalformed",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
            headers.insert(http::HeaderName::from_static(name), date.parse().unwrap());
            let code =
                check(&headers, now).err().map_or("ok".to_owned(), |error| error.code().as_str().to_owned());
            assert_eq!(code, expected, "{authorization} {date}");
        }
        assert!(check(&HeaderMap::new(), now).is_ok());
    }
}
