//! A request as services see it, and what a service is.

use crate::Body;
use crate::credential::Credential;
use async_trait::async_trait;
use http::request::Parts;
use model::{ACCOUNT, FunctionArn, REGION, Scope};

/// A response with a streamed body.
pub type Response = http::Response<Body>;

/// Who sent a request, known by the socket it came through and not by what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who reached the listening address.
    Outside,
    /// A function, from inside its sandbox.
    Function(FunctionArn),
}

/// A request with its head read and its body still to come.
#[derive(Debug)]
pub struct Request {
    /// Method, URI, headers.
    pub head: Parts,
    /// The body.
    pub body: Body,
    /// Who sent it.
    pub caller: Caller,
    /// The credential it was signed with; `None` for an unsigned request.
    pub credential: Option<Credential>,
    /// Names this request in the log and in the answer's `x-amzn-RequestId`.
    pub id: model::RequestId,
}

impl Request {
    /// The account and the region that the request is about.
    ///
    /// An access key id of twelve digits selects the account with that number, and one that STS gave its own; a function
    /// acts in its own account;
    /// anybody else in the usual one. The region is that of the signature.
    pub fn scope(&self) -> Scope {
        scope(&self.caller, self.credential.as_ref())
    }
}

pub(crate) fn scope(caller: &Caller, credential: Option<&Credential>) -> Scope {
    let region = credential.map(|credential| credential.region.clone()).filter(|region| is_region(region));
    let home = match caller {
        Caller::Function(arn) => arn.scope(),
        Caller::Outside => Scope { account: ACCOUNT.to_owned(), region: REGION.to_owned() },
    };
    let account = match (caller, credential) {
        (Caller::Outside, Some(credential)) => account_of_key(&credential.access_key).unwrap_or(home.account),
        _ => home.account,
    };
    Scope { account, region: region.unwrap_or(home.region) }
}

/// Whether this is the number of an account.
pub fn is_account(key: &str) -> bool {
    key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account that an access key id is for, where it says so: the number of an account, or a temporary key.
pub fn account_of_key(key: &str) -> Option<String> {
    if is_account(key) { Some(key.to_owned()) } else { account_of(key) }
}

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new id of a temporary access key for `account`: it says for which account it is, as AWS's do.
pub fn temporary_key(account: &str) -> String {
    let number: u64 = account.parse().unwrap_or(0);
    let random = uuid::Uuid::new_v4().as_u128() as u64;
    let letter = |bits: u64| char::from(LETTERS[(bits & 31) as usize]);
    let account = (0..8).rev().map(|place| letter(number >> (5 * place)));
    // The version of a UUID stands among its higher bits.
    let random = (0..8).map(|place| letter(random >> (5 * place)));
    "ASIA".chars().chain(account).chain(random).collect()
}

/// The account that a temporary access key is for.
fn account_of(key: &str) -> Option<String> {
    let letters = key.strip_prefix("ASIA").filter(|letters| letters.len() == 16)?;
    let mut number = 0_u64;
    for byte in letters.bytes().take(8) {
        number = number << 5 | LETTERS.iter().position(|letter| *letter == byte)? as u64;
    }
    Some(format!("{number:012}")).filter(|account| is_account(account))
}

/// A region becomes a part of ARNs and of keys in the store: what does not look like one is none.
fn is_region(region: &str) -> bool {
    (1..=32).contains(&region.len())
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// One face of the platform: answers requests, its own faults included.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers `request`.
    async fn call(&self, request: Request) -> Response;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_follow_the_signature_and_the_caller() {
        let signed = |key: &str, region: &str| Credential {
            access_key: key.into(),
            region: region.into(),
            service: "lambda".into(),
        };
        let there = Scope { account: "123456789012".into(), region: "eu-west-1".into() };
        let inside = Caller::Function(FunctionArn::within(&there, "f"));
        for (caller, credential, account, region) in [
            (&Caller::Outside, None, ACCOUNT, REGION),
            (&Caller::Outside, Some(signed("test", "eu-west-1")), ACCOUNT, "eu-west-1"),
            (&Caller::Outside, Some(signed("123456789012", REGION)), "123456789012", REGION),
            (&Caller::Outside, Some(signed("12345678901", "a:b")), ACCOUNT, REGION),
            (&Caller::Outside, Some(signed(&temporary_key("123456789012"), REGION)), "123456789012", REGION),
            (&Caller::Outside, Some(signed("ASIAQQQQQQQQQQQQQQQQ1", REGION)), ACCOUNT, REGION),
            (&inside, Some(signed("function", "eu-west-1")), "123456789012", "eu-west-1"),
            (&inside, Some(signed("999999999999", "us-west-2")), "123456789012", "us-west-2"),
            (&inside, None, "123456789012", "eu-west-1"),
        ] {
            let found = scope(caller, credential.as_ref());
            assert_eq!((found.account.as_str(), found.region.as_str()), (account, region), "{credential:?}");
        }
    }
}
