//! Session tokens of temporary credentials: they say themselves until when they hold and whose they are, so nothing is
//! kept of them. Signatures are not verified yet, and neither are these.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use model::Timestamp;
use percent_encoding::percent_decode_str;

/// What a token of ours begins with; others are nobody's business here.
const MARK: &[u8; 6] = b"mayfly";

/// The longest token that is looked into; ours are shorter.
const LONGEST: usize = 4096;

/// How many bytes a token has, unless its holder's name is long: as many as AWS's.
const BYTES: usize = 267;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Until when it holds.
    pub expires: Timestamp,
    /// The unique id of whoever holds it; empty for the account itself.
    pub user: String,
    /// The ARN of whoever holds it; empty for the account itself.
    pub arn: String,
}

impl Session {
    /// A new token that says this.
    pub fn token(&self) -> String {
        let mut bytes = [&MARK[..], &self.expires.0.to_be_bytes()].concat();
        for text in [&self.user, &self.arn] {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_be_bytes());
            bytes.extend(&text.as_bytes()[..usize::from(length)]);
        }
        // At least one id: no two tokens are equal.
        while bytes.len() < BYTES - 16 || bytes.len() % 3 != 2 {
            bytes.extend(uuid::Uuid::new_v4().into_bytes());
        }
        bytes.extend(uuid::Uuid::new_v4().into_bytes());
        BASE64_STANDARD.encode(bytes)
    }

    /// What the token of a request says, if it is one of ours.
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> Option<Self> {
        let header = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
        let in_query = || {
            let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
            let token = pairs.find(|(name, _)| name.eq_ignore_ascii_case("x-amz-security-token"))?.1;
            percent_decode_str(token).decode_utf8().ok().map(|token| token.into_owned())
        };
        read(&header.map(str::to_owned).or_else(in_query)?)
    }
}

fn read(token: &str) -> Option<Session> {
    let bytes = BASE64_STANDARD.decode(Some(token).filter(|token| token.len() <= LONGEST)?).ok()?;
    let (expires, rest) = bytes.strip_prefix(&MARK[..])?.split_first_chunk::<8>()?;
    let (user, rest) = text(rest)?;
    let (arn, _) = text(rest)?;
    Some(Session { expires: Timestamp(i64::from_be_bytes(*expires)), user, arn })
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn tokens_say_what_they_were_made_with() {
        let session = Session { expires: Timestamp(5_000), user: "AROA:me".into(), arn: "arn:me".into() };
        let token = session.token();
        assert_ne!(token, session.token());
        let mut headers = HeaderMap::new();
        assert_eq!(Session::of(&headers, None), None);
        let escaped = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let query = format!("a=b&X-Amz-Security-Token={escaped}");
        assert_eq!(Session::of(&headers, Some(&query)).as_ref(), Some(&session));
        headers.insert("x-amz-security-token", HeaderValue::from_str(&token).unwrap());
        assert_eq!(Session::of(&headers, None), Some(session));
        for other in ["somebody's", "bWF5Zmx5", &token[..30]] {
            headers.insert("x-amz-security-token", HeaderValue::from_str(other).unwrap());
            assert_eq!(Session::of(&headers, None), None);
        }
    }
}
