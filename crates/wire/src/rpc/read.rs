//! Numbers and truth values of inputs: JSON has them as such, a form has them as text.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Reads an optional whole number that may come as a JSON number or as text.
///
/// # Errors
/// When it is neither.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(Integer)
}

/// Reads an optional truth value that may come as JSON or as text.
///
/// # Errors
/// When it is neither.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Is(bool),
        Says(String),
    }
    match Option::<Either>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Is(value)) => Ok(Some(value)),
        Some(Either::Says(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Either::Says(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(Either::Says(text)) => Err(D::Error::custom(format_args!("{text} is neither true nor false"))),
    }
}

struct Integer;

impl<'de> Visitor<'de> for Integer {
    type Value = Option<i64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(Integer)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        // A client without whole numbers sends 5.0 for 5.
        (value.fract() == 0.0 && value.abs() < 9e15)
            .then_some(Some(value as i64))
            .ok_or_else(|| E::custom(format_args!("{value} is not a whole number")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.trim().parse().map(Some).map_err(|_| E::custom(format_args!("{text} is not a whole number")))
    }
}
