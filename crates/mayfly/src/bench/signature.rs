//! Signature Version 4, for endpoints that look at it.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use sha2::{Digest, Sha256};
use std::fmt::Write;
use time::OffsetDateTime;
use time::macros::format_description;

/// Who signs.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: String,
    secret: String,
    token: Option<String>,
    region: String,
}

impl Key {
    /// The key in the environment, as AWS's tools find it; `test` if there is none.
    #[expect(clippy::disallowed_methods, reason = "this is the program, which alone reads the environment")]
    pub(super) fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Key {
            id: variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "test".to_owned()),
            secret: variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "test".to_owned()),
            token: variable("AWS_SESSION_TOKEN"),
            region: variable("AWS_REGION")
                .or_else(|| variable("AWS_DEFAULT_REGION"))
                .unwrap_or_else(|| model::REGION.to_owned()),
        }
    }

    /// The lines that sign a request at `now`.
    pub(super) fn sign(
        &self,
        service: &str,
        method: &str,
        host: &str,
        path: &str,
        body_hash: &str,
        now: OffsetDateTime,
    ) -> String {
        let stamp =
            now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default();
        let day = stamp.get(..8).unwrap_or_default();
        let mut signed = "host;x-amz-content-sha256;x-amz-date".to_owned();
        let mut canonical = format!("host:{host}\nx-amz-content-sha256:{body_hash}\nx-amz-date:{stamp}\n");
        let mut lines = format!("x-amz-content-sha256: {body_hash}\r\nx-amz-date: {stamp}\r\n");
        if let Some(token) = &self.token {
            signed.push_str(";x-amz-security-token");
            let _ = writeln!(canonical, "x-amz-security-token:{token}");
            let _ = write!(lines, "x-amz-security-token: {token}\r\n");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = format!("{method}\n{path}\n{query}\n{canonical}\n{signed}\n{body_hash}");
        let scope = format!("{day}/{}/{service}/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hash(request.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, service, "aws4_request"] {
            key = hmac(&key, part.as_bytes()).to_vec();
        }
        let signature = hex(&hmac(&key, text.as_bytes()));
        let _ = write!(
            lines,
            "Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, \
             Signature={signature}\r\n",
            self.id
        );
        lines
    }
}

/// The SHA-256 of `bytes`, as signatures state it.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(padded.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let found = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
