//! Encryption of bytes at rest: AES-256-GCM in chunks, so that a range is read without the rest.
//!
//! ```text
//! salt (16 bytes) | chunk | chunk | ...      each chunk: up to 64 KiB, encrypted, and a tag of 16 bytes
//! ```
//!
//! Each sequence of bytes has a key of its own, made of the object's key and its salt; a chunk's nonce is its number.
//! The object's key is random and lies in the record, encrypted with the installation's key; or it is the customer's
//! (SSE-C), and only a proof of it is kept.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use store::key::InstallationKey;

/// Bytes of one chunk before it is encrypted.
pub const CHUNK: usize = 64 * 1024;

const TAG: usize = 16;
const SALT: usize = 16;

/// How the bytes of an object are encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Encryption {
    /// With a random key, kept here encrypted with the installation's (SSE-S3).
    Installation(String),
    /// With a key that the customer sends with each request (SSE-C).
    Customer {
        /// The MD5 of the key, in base64, as requests name it.
        md5: String,
        /// An HMAC that only the right key makes.
        proof: String,
    },
}

/// A key for an object's bytes.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The machine gave no random bytes, or what was decrypted is not what was encrypted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CipherError(&'static str);

const NO_RANDOM: CipherError = CipherError("the machine gave no random bytes");
const DAMAGED: CipherError = CipherError("encrypted bytes are damaged");

impl From<CipherError> for io::Error {
    fn from(error: CipherError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

fn random<const N: usize>() -> Result<[u8; N], CipherError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NO_RANDOM)?;
    Ok(bytes)
}

impl Key {
    /// The customer's own key.
    pub fn of_customer(key: [u8; 32]) -> Self {
        Key(key)
    }

    /// A new key, and what a record keeps of it.
    ///
    /// # Errors
    /// When the machine has no random bytes.
    pub fn new(installation: &InstallationKey) -> Result<(Self, Encryption), CipherError> {
        let key = Key(random()?);
        let mut bytes = key.0.to_vec();
        let wrapped = Sealer::new(&Key(*installation.bytes()))?.whole(&mut bytes)?;
        Ok((key, Encryption::Installation(hex(&wrapped))))
    }

    /// The key that a record keeps.
    ///
    /// # Errors
    /// When it was encrypted by another installation.
    pub fn unwrap(wrapped: &str, installation: &InstallationKey) -> Result<Self, CipherError> {
        let wrapped = unhex(wrapped).ok_or(DAMAGED)?;
        let read = |at: u64, len: usize| {
            let start = usize::try_from(at).map_err(io::Error::other)?;
            Ok(wrapped.get(start..start + len).ok_or(DAMAGED)?.to_vec())
        };
        let bytes = decrypt(&Key(*installation.bytes()), read, 32, 0..32).map_err(|_| DAMAGED)?;
        bytes.try_into().map(Key).map_err(|_| DAMAGED)
    }

    /// What only this key makes: kept to tell a wrong key of a customer from the right one.
    pub fn proof(&self) -> String {
        hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), b"mayfly customer key").as_ref())
    }

    /// Whether [`Key::proof`] was made by this key.
    pub fn proves(&self, proof: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        unhex(proof).is_some_and(|proof| hmac::verify(&key, b"mayfly customer key", &proof).is_ok())
    }

    fn with_salt(&self, salt: &[u8]) -> Result<LessSafeKey, CipherError> {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), salt);
        UnboundKey::new(&AES_256_GCM, derived.as_ref()).map(LessSafeKey::new).map_err(|_| DAMAGED)
    }
}

fn nonce(chunk: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&chunk.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Encrypts one sequence of bytes, chunk by chunk.
pub struct Sealer {
    key: LessSafeKey,
    salt: [u8; SALT],
    chunks: u64,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Begins a sequence under `key`.
    ///
    /// # Errors
    /// When the machine has no random bytes.
    pub fn new(key: &Key) -> Result<Self, CipherError> {
        let salt = random()?;
        Ok(Sealer { key: key.with_salt(&salt)?, salt, chunks: 0 })
    }

    /// Encrypts the next bytes onto the end of `out`: whole chunks, and what may be less only at the end.
    ///
    /// # Errors
    /// None that can happen with the sizes used here.
    pub fn seal(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> Result<(), CipherError> {
        if self.chunks == 0 {
            out.extend_from_slice(&self.salt);
        }
        for chunk in bytes.chunks_mut(CHUNK) {
            let tag = self
                .key
                .seal_in_place_separate_tag(nonce(self.chunks), Aad::empty(), chunk)
                .map_err(|_| DAMAGED)?;
            self.chunks += 1;
            out.extend_from_slice(chunk);
            out.extend_from_slice(tag.as_ref());
        }
        Ok(())
    }

    /// Encrypts all of `bytes`.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn whole(mut self, bytes: &mut [u8]) -> Result<Vec<u8>, CipherError> {
        let mut out = Vec::with_capacity(bytes.len() + SALT + TAG * (1 + bytes.len() / CHUNK));
        self.seal(bytes, &mut out)?;
        Ok(out)
    }
}

/// Decrypts the bytes in `range` of a sequence of `len` bytes; `read` gives encrypted bytes by place and number.
///
/// # Errors
/// What `read` returns, and [`io::ErrorKind::InvalidData`] for bytes that were changed.
pub fn decrypt(
    key: &Key,
    read: impl Fn(u64, usize) -> io::Result<Vec<u8>>,
    len: u64,
    range: std::ops::Range<u64>,
) -> io::Result<Vec<u8>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let (chunk, tag) = (CHUNK as u64, TAG as u64);
    let (first, last) = (range.start / chunk, (range.end - 1) / chunk);
    let at = |number: u64| SALT as u64 + number * (chunk + tag);
    let end = at(last) + (len - last * chunk).min(chunk) + tag;
    let size = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
    // One read more only where the range does not begin at the start.
    let (salt, mut sealed) = if first == 0 {
        let mut all = read(0, size(end)?)?;
        (all.drain(..SALT).collect::<Vec<u8>>(), all)
    } else {
        (read(0, SALT)?, read(at(first), size(end - at(first))?)?)
    };
    let key = key.with_salt(&salt)?;
    let mut plain = 0;
    let mut number = first;
    let mut start = 0;
    while start < sealed.len() {
        let stop = sealed.len().min(start + CHUNK + TAG);
        let opened = key
            .open_within(nonce(number), Aad::empty(), &mut sealed[start..stop], 0..)
            .map_err(|_| DAMAGED)?
            .len();
        sealed.copy_within(start..start + opened, plain);
        plain += opened;
        number += 1;
        start = stop;
    }
    sealed.truncate(size(range.end - first * chunk)?.min(plain));
    sealed.drain(..size(range.start - first * chunk)?);
    Ok(sealed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_of_encrypted_bytes_is_read_and_a_change_is_noticed() {
        let key = Key([7; 32]);
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let plain: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let mut sealed = Sealer::new(&key).unwrap().whole(&mut plain.clone()).unwrap();
            let read = |sealed: &[u8], range: std::ops::Range<usize>| {
                let get = |at: u64, n: usize| Ok(sealed[at as usize..at as usize + n].to_vec());
                decrypt(&key, get, len as u64, range.start as u64..range.end as u64)
            };
            for (start, end) in [(0, len), (0, len.min(1)), (len / 2, len), (len.saturating_sub(1), len)] {
                assert_eq!(read(&sealed, start..end).unwrap(), plain[start..end], "{start}..{end} of {len}");
            }
            if len > 0 {
                let last = sealed.len() - 1;
                sealed[last] ^= 1;
                assert!(read(&sealed, len - 1..len).is_err());
            }
        }
    }

    #[test]
    fn a_customers_key_is_proved() {
        let key = Key::of_customer([1; 32]);
        assert!(key.proves(&key.proof()) && !Key::of_customer([2; 32]).proves(&key.proof()));
    }
}
