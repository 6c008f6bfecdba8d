//! Keys in URL encoding, as listings and events hold them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What S3 leaves as it is; a space becomes `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// `key` in URL encoding, its slashes as they are: `a b/ä` becomes `a+b/%C3%A4`.
pub(super) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, ESCAPED).to_string().replace("%20", "+")
}

/// The key that was encoded. Text that is not UTF-8 when decoded is taken as it is.
pub(super) fn decode_key(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().map_or_else(|_| text.clone(), |key| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_encodes_them() {
        for (key, encoded) in [
            ("red flower.jpg", "red+flower.jpg"),
            ("a/b/c-d_e.f", "a/b/c-d_e.f"),
            ("1+1=2", "1%2B1%3D2"),
            ("test(1).png", "test%281%29.png"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("100%\n", "100%25%0A"),
        ] {
            assert_eq!(encode_key(key), encoded);
            assert_eq!(decode_key(encoded), key);
        }
    }
}
