//! Tags of objects and buckets, and the rules they follow.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>

use super::error::{Result, detailed, refuse};
use s3s::S3ErrorCode;
use s3s::dto::Tag;
use wire::credential::query_pairs;

/// The most tags of an object, and of a bucket.
pub(super) const OF_OBJECT: usize = 10;
pub(super) const OF_BUCKET: usize = 50;

/// The longest key and the longest value, in characters.
const KEY: usize = 128;
const VALUE: usize = 256;

/// Tags as records hold them.
pub(super) type Tags = Vec<(String, String)>;

/// The tags of the header `x-amz-tagging`: a query string.
pub(super) fn of_header(value: &str) -> Result<Tags> {
    let tags: Tags = query_pairs(value).collect();
    let mut names: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|pair| pair.first() == pair.last());
    // An equals sign of a value is escaped.
    let several = value.split('&').any(|pair| pair.matches('=').count() > 1);
    if twice || several || tags.iter().any(|(key, _)| key.is_empty()) && !value.is_empty() {
        return Err(detailed(
            S3ErrorCode::InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag \
             name duplicates.",
            &[("ArgumentName", "x-amz-tagging"), ("ArgumentValue", value)],
        ));
    }
    checked(tags, OF_OBJECT)
}

/// The tags of a document.
pub(super) fn of_set(set: Vec<Tag>, most: usize) -> Result<Tags> {
    let pairs = set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    checked(pairs.collect(), most)
}

/// As documents hold them.
pub(super) fn to_set(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

fn checked(tags: Tags, most: usize) -> Result<Tags> {
    if tags.len() > most {
        let message = if most == OF_OBJECT {
            "Object tags cannot be greater than 10".to_owned()
        } else {
            format!("Bucket tag count cannot be greater than {most}")
        };
        return Err(refuse(S3ErrorCode::Custom("BadRequest".into()), message));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > KEY || !key.chars().all(is_allowed) {
            return Err(invalid("The TagKey you have provided is invalid", &[("TagKey", key)]));
        }
        if value.chars().count() > VALUE || !value.chars().all(is_allowed) {
            let about = [("TagKey", key.as_str()), ("TagValue", value.as_str())];
            return Err(invalid("The TagValue you have provided is invalid", &about));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = match most {
                OF_OBJECT => "Your TagKey cannot be prefixed with aws:",
                _ => "System tags cannot be added/updated by requester",
            };
            return Err(invalid(message, &[("TagKey", key)]));
        }
        if tags[..index].iter().any(|(other, _)| other == key) {
            return Err(invalid("Cannot provide multiple Tags with the same key", &[("TagKey", key)]));
        }
    }
    Ok(tags)
}

fn is_allowed(letter: char) -> bool {
    letter.is_alphanumeric() || letter.is_whitespace() || "+-=._:/@".contains(letter)
}

fn invalid(message: &'static str, about: &[(&str, &str)]) -> super::error::Error {
    detailed(S3ErrorCode::InvalidTag, message, about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_rules() {
        assert_eq!(of_header("a=b&c=d%20e").unwrap(), [("a".into(), "b".into()), ("c".into(), "d e".into())]);
        assert_eq!(of_header("").unwrap(), []);
        assert!(of_header(&format!("{}=v", "k".repeat(128))).is_ok());
        for wrong in ["a=1&a=2", "aws:x=1", "=b", "a=%3C"] {
            assert!(of_header(wrong).is_err(), "{wrong}");
        }
        assert!(of_header(&format!("{}=v", "k".repeat(129))).is_err());
        assert!(of_header(&format!("k={}", "v".repeat(257))).is_err());
        let many: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert!(of_header(&many.join("&")).is_err());
    }
}
