//! The digests of an object's bytes: its ETag and its checksum.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

/// A checksum that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// As requests and listings name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries it.
    pub(super) fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn of_header(header: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(header))
    }

    /// As events and messages name it.
    pub(super) fn lower_name(self) -> String {
        self.name().to_ascii_lowercase()
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }

    /// The checksum of the bytes of `one` and of the `len` bytes of `other`, one behind the other.
    pub(super) fn combine(self, one: &str, other: &str, len: u64) -> Option<String> {
        let number = |value: &str| {
            let bytes = STANDARD.decode(value).ok()?;
            Some(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
        };
        let combined = crc_fast::checksum_combine(self.crc()?, number(one)?, number(other)?, len);
        let bytes = combined.to_be_bytes();
        Some(STANDARD.encode(if self == Algorithm::Crc64Nvme { &bytes[..] } else { &bytes[4..] }))
    }

    /// The checksum of the checksums of parts.
    pub(super) fn of_parts<'a>(self, parts: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut hasher = Hasher::new(self);
        let mut count = 0;
        for part in parts {
            hasher.update(&STANDARD.decode(part).ok()?);
            count += 1;
        }
        Some(format!("{}-{count}", hasher.finish()))
    }

    /// Whether `value` has the form of this checksum: base64 of the right number of bytes.
    pub(super) fn accepts(self, value: &str) -> bool {
        let length = match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        };
        STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == length)
    }
}

enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Hasher::Crc32(Crc32::new()),
            Algorithm::Crc32c => Hasher::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Hasher::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Hasher::Sha1(Sha1::new()),
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Crc32c(hasher) => hasher.update(bytes),
            Hasher::Crc64Nvme(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Hasher::Crc32(hasher) => STANDARD.encode(hasher.finalize()),
            Hasher::Crc32c(hasher) => STANDARD.encode(hasher.finalize()),
            Hasher::Crc64Nvme(hasher) => STANDARD.encode(hasher.finalize()),
            Hasher::Sha1(hasher) => STANDARD.encode(hasher.finalize()),
            Hasher::Sha256(hasher) => STANDARD.encode(hasher.finalize()),
        }
    }
}

/// Everything that is computed over a body while it streams.
pub(super) struct Hashers {
    md5: Md5,
    sha256: Option<Sha256>,
    algorithm: Algorithm,
    checksum: Hasher,
    also: Option<(Algorithm, Hasher)>,
}

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Digests {
    pub(super) md5: [u8; 16],
    /// In hexadecimal, if it was asked for.
    pub(super) sha256: Option<String>,
    pub(super) algorithm: Algorithm,
    /// In base64.
    pub(super) checksum: String,
    /// A second one, where the request's own is not the one that is kept.
    pub(super) also: Option<(Algorithm, String)>,
}

impl Digests {
    /// The checksum of this algorithm, if it was computed.
    pub(super) fn of(&self, algorithm: Algorithm) -> Option<&str> {
        if self.algorithm == algorithm {
            return Some(&self.checksum);
        }
        self.also.as_ref().filter(|also| also.0 == algorithm).map(|also| also.1.as_str())
    }
}

impl Hashers {
    pub(super) fn new(algorithm: Algorithm, with_sha256: bool) -> Self {
        Hashers {
            md5: Md5::new(),
            sha256: with_sha256.then(Sha256::new),
            algorithm,
            checksum: Hasher::new(algorithm),
            also: None,
        }
    }

    /// Computes the checksum of `algorithm` too.
    pub(super) fn and(mut self, algorithm: Algorithm) -> Self {
        self.also = (algorithm != self.algorithm).then(|| (algorithm, Hasher::new(algorithm)));
        self
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        self.checksum.update(bytes);
        if let Some((_, hasher)) = &mut self.also {
            hasher.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            md5: self.md5.finalize(),
            sha256: self.sha256.map(|sha256| hex(sha256.finalize().as_ref())),
            algorithm: self.algorithm,
            checksum: self.checksum.finish(),
            also: self.also.map(|(algorithm, hasher)| (algorithm, hasher.finish())),
        }
    }
}

/// `bytes` in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        // The check values of each algorithm, over the text 123456789.
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let mut hashers = Hashers::new(algorithm, true);
            hashers.update(b"12345");
            hashers.update(b"6789");
            let digests = hashers.finish();
            assert_eq!(digests.checksum, value, "{algorithm:?}");
            assert!(algorithm.accepts(value));
            assert_eq!(hex(&digests.md5), "25f9e794323b453885f5181f1b624d0b");
            let sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
            assert_eq!(digests.sha256.as_deref(), Some(sha256));
        }
    }

    #[test]
    fn checksums_of_parts_become_those_of_the_whole() {
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.crc().is_some()) {
            let of = |bytes: &[u8]| {
                let mut hashers = Hashers::new(algorithm, false);
                hashers.update(bytes);
                hashers.finish().checksum
            };
            assert_eq!(
                algorithm.combine(&of(b"12345"), &of(b"6789"), 4),
                Some(of(b"123456789")),
                "{algorithm:?}"
            );
        }
        assert_eq!(Algorithm::Sha1.combine("", "", 0), None);
        // Of one part that is empty, as published for SHA-256 of the digest of nothing.
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(
            Algorithm::Sha256.of_parts([empty].into_iter()).unwrap(),
            "Xfbg4nYTWdMKgnUFjimfzAOBU0VF9Vz0PkGYP11MlFY=-1"
        );
    }

    #[test]
    fn a_value_of_another_form_is_told() {
        assert!(!Algorithm::Crc32.accepts("rosUhgp5mIg="));
        assert!(!Algorithm::Crc32.accepts("y/Q5Jg"));
        assert!(!Algorithm::Sha256.accepts(""));
        assert_eq!(Algorithm::of_header("X-Amz-Checksum-CRC32"), Some(Algorithm::Crc32));
        assert_eq!(Algorithm::of_name("crc64nvme"), Some(Algorithm::Crc64Nvme));
    }
}
