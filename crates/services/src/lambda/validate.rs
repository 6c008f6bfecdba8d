//! Constraints on parameters, reported together as AWS's services do.

use std::fmt::Display;
use wire::Fault;

/// The constraints that a request breaks.
#[derive(Default)]
pub(super) struct Checks(Vec<String>);

impl Checks {
    /// Notes that `value` of the parameter `member` breaks a constraint unless it `holds`.
    fn note(&mut self, holds: bool, value: impl Display, member: &str, constraint: impl FnOnce() -> String) {
        if !holds {
            self.0.push(format!(
                "Value '{value}' at '{member}' failed to satisfy constraint: {}",
                constraint()
            ));
        }
    }

    /// A parameter that must be there.
    pub(super) fn required<'a, T: ?Sized>(&mut self, member: &str, value: Option<&'a T>) -> Option<&'a T> {
        if value.is_none() {
            let message =
                format!("Value null at '{member}' failed to satisfy constraint: Member must not be null");
            self.0.push(message);
        }
        value
    }

    /// A text that must match `pattern`, which `matches` decides.
    pub(super) fn pattern(&mut self, member: &str, value: &str, pattern: &str, matches: bool) {
        self.note(matches, shorten(value), member, || {
            format!("Member must satisfy regular expression pattern: {pattern}")
        });
    }

    /// A text of `least` to `most` characters.
    pub(super) fn length(&mut self, member: &str, value: &str, least: usize, most: usize) {
        let length = value.chars().count();
        self.note(length >= least, value, member, || {
            format!("Member must have length greater than or equal to {least}")
        });
        self.note(length <= most, shorten(value), member, || {
            format!("Member must have length less than or equal to {most}")
        });
    }

    /// A number from `least` to `most`.
    pub(super) fn range(&mut self, member: &str, value: i64, least: u32, most: u32) {
        self.note(value >= i64::from(least), value, member, || {
            format!("Member must have value greater than or equal to {least}")
        });
        self.note(value <= i64::from(most), value, member, || {
            format!("Member must have value less than or equal to {most}")
        });
    }

    /// A text that must be one of `values`.
    pub(super) fn one_of(&mut self, member: &str, value: &str, values: &[&str]) {
        self.note(values.contains(&value), shorten(value), member, || {
            format!("Member must satisfy enum value set: [{}]", values.join(", "))
        });
    }

    /// Any other constraint on what is not repeated, since it may be secret.
    pub(super) fn hidden(&mut self, member: &str, holds: bool, constraint: &str) {
        if !holds {
            self.0.push(format!("Value at '{member}' failed to satisfy constraint: {constraint}"));
        }
    }

    /// Any other constraint.
    pub(super) fn holds(&mut self, member: &str, value: &str, holds: bool, constraint: &str) {
        self.note(holds, shorten(value), member, || constraint.to_owned());
    }

    /// The fault that names every broken constraint, if there is one.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let errors = if count == 1 { "error" } else { "errors" };
        let message = format!("{count} validation {errors} detected: {}", self.0.join("; "));
        Err(Fault::new("ValidationException", 400, message))
    }
}

/// The longest value that a message repeats, in characters.
const VALUE_SHOWN: usize = 256;

fn shorten(value: &str) -> &str {
    value.char_indices().nth(VALUE_SHOWN).map_or(value, |(end, _)| &value[..end])
}

/// Whether `text` has at least one character, and only those that `allowed` takes.
pub(super) fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// Letters, digits, `-` and `_`.
pub(super) fn is_word(text: &str) -> bool {
    all(text, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && all(text, |c| c.is_ascii_digit())
}

/// An ARN as AWS's patterns have it: of a service, in a region or none, of an account or none.
pub(super) fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, _, account, _] = parts[..] else { return false };
    partition.starts_with("aws")
        && all(service, |c| c.is_ascii_alphanumeric() || c == '-')
        && (account.is_empty() || is_account(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_constraints_are_told_together() {
        let mut checks = Checks::default();
        checks.range("timeout", 3, 1, 900);
        checks.length("description", "ab", 0, 2);
        assert!(checks.finish().is_ok());
        let mut checks = Checks::default();
        checks.range("timeout", 901, 1, 900);
        checks.one_of("logType", "x", &["None", "Tail"]);
        assert_eq!(
            checks.finish().unwrap_err().message,
            "2 validation errors detected: Value '901' at 'timeout' failed to satisfy constraint: Member must \
             have value less than or equal to 900; Value 'x' at 'logType' failed to satisfy constraint: Member \
             must satisfy enum value set: [None, Tail]"
        );
    }
}
