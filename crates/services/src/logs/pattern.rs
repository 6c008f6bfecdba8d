//! Filter patterns for unstructured events: words that must be there, may be there, and must not.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>

use super::invalid;
use wire::Fault;

/// The longest pattern, in bytes.
const LONGEST: usize = 1_024;

/// A pattern.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Patterns for JSON, for events with columns and regular expressions, which are not supported.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(invalid(format!("A filter pattern has at most {LONGEST} characters.")));
        }
        if text.starts_with(['{', '[', '%']) {
            return Err(invalid(
                "The parameter filterPattern is supported by Mayfly for words and phrases only, not for JSON, columns \
                 or regular expressions.",
            ));
        }
        let mut pattern = Pattern::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (kind, word) = match (rest.strip_prefix('?'), rest.strip_prefix('-')) {
                (Some(word), _) => (&mut pattern.any, word),
                (_, Some(word)) => (&mut pattern.none, word),
                _ => (&mut pattern.all, rest),
            };
            let (word, behind) = match word.strip_prefix('"') {
                Some(phrase) => phrase
                    .split_once('"')
                    .ok_or_else(|| invalid("Invalid filter pattern: a quote is open."))?,
                None => word.split_at(word.find(char::is_whitespace).unwrap_or(word.len())),
            };
            kind.push(word.to_owned());
            rest = behind.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message has what it should.
    pub(super) fn fits(&self, message: &str) -> bool {
        let has = |word: &String| message.contains(word.as_str());
        self.all.iter().all(has)
            && !self.none.iter().any(has)
            && (self.any.is_empty() || self.any.iter().any(has))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_missed() {
        for (pattern, message, fits) in [
            ("", "anything", true),
            ("ERROR", "an ERROR here", true),
            ("ERROR", "an error here", false),
            ("ERROR here", "an ERROR", false),
            ("?ERROR ?WARN", "WARN: x", true),
            ("?ERROR ?WARN", "INFO: x", false),
            ("\"two words\" -not", "has two words", true),
            ("\"two words\" -not", "has two words, not one", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fits(message), fits, "{pattern}: {message}");
        }
        for pattern in ["{ $.x = 1 }", "[a, b]", "%x%", "\"open", &"x".repeat(1_025)] {
            assert_eq!(Pattern::parse(pattern).unwrap_err().code, "InvalidParameterException");
        }
    }
}
