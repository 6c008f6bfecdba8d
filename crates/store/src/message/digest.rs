//! The MD5s that clients check.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use super::Attribute;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The digest of a body.
pub fn of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// The digest of attributes, in the order of their names; none if there are none.
pub fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
) -> Option<String> {
    // They come sorted out of a map already, unless somebody changes its kind.
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in sorted {
        let (transport, value) = match &attribute.binary_value {
            Some(binary) => (2_u8, STANDARD.decode(binary).unwrap_or_default()),
            None => (1, attribute.string_value.clone().unwrap_or_default().into_bytes()),
        };
        add(&mut digest, name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        digest.update([transport]);
        add(&mut digest, &value);
    }
    Some(hex(&digest.finalize()))
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_aws_tells() {
        assert_eq!(of_body("test"), "098f6bcd4621d373cade4e832627b4f6");
        let text = |value: &str| Attribute {
            data_type: "String".into(),
            string_value: Some(value.into()),
            binary_value: None,
        };
        let names = [("General", "Kenobi"), ("Hello", "There"), ("Help.Me", "Me")];
        let attributes: BTreeMap<String, Attribute> =
            names.map(|(name, value)| (name.to_owned(), text(value))).into();
        assert_eq!(of_attributes(&attributes).as_deref(), Some("4c360f3fdafd970e05fae2f149d997f5"));
        let binary = Attribute {
            data_type: "Binary".into(),
            string_value: None,
            binary_value: Some(
                STANDARD.encode(b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"),
            ),
        };
        let attributes: BTreeMap<String, Attribute> = [("attr1".to_owned(), binary)].into();
        assert_eq!(of_attributes(&attributes).as_deref(), Some("8cbe4db156db8a94db8b801b7addb984"));
        assert_eq!(of_attributes(&BTreeMap::new()), None);
    }
}
