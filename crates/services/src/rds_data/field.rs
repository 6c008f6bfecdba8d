//! Results: the database's values become AWS's union of typed values, or one JSON text.

use super::column::{Kind, kind};
use super::fault::fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::limits;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use store::sql::{Effect, SqlError, Value};
use wire::Fault;

/// `Field` of the API.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Field {
    /// Null.
    IsNull(bool),
    /// True or false.
    BooleanValue(bool),
    /// A whole number.
    LongValue(i64),
    /// A floating-point number.
    #[serde(serialize_with = "number")]
    DoubleValue(f64),
    /// Text.
    StringValue(String),
    /// Bytes, in base64.
    BlobValue(String),
}

/// How numbers are shown that a client may read with a loss.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Options {
    decimal_return_type: Decimals,
    long_return_type: Longs,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Decimals {
    #[default]
    String,
    DoubleOrLong,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Longs {
    String,
    #[default]
    Long,
}

impl Field {
    /// `value` of a column of this kind.
    pub(super) fn new(value: Value, kind: Kind, options: Options) -> Self {
        let as_text = options.decimal_return_type == Decimals::String;
        match (value, kind) {
            (Value::Null, _) => Field::IsNull(true),
            (Value::Integer(flag @ 0..=1), Kind::Boolean) => Field::BooleanValue(flag == 1),
            (Value::Integer(number), Kind::Decimal { .. }) if as_text => {
                Field::StringValue(number.to_string())
            }
            (Value::Real(number), Kind::Decimal { .. }) if as_text => Field::StringValue(number.to_string()),
            #[expect(clippy::cast_precision_loss, reason = "the caller chose DOUBLE_OR_LONG, which is lossy")]
            (Value::Integer(number), Kind::Decimal { scale: 1.. }) => Field::DoubleValue(number as f64),
            (Value::Integer(number), _) if options.long_return_type == Longs::String => {
                Field::StringValue(number.to_string())
            }
            (Value::Integer(number), _) => Field::LongValue(number),
            (Value::Real(number), _) => Field::DoubleValue(number),
            (Value::Text(text), _) => Field::StringValue(text),
            (Value::Blob(bytes), _) => Field::BlobValue(STANDARD.encode(bytes)),
        }
    }
}

/// All rows as the API shows them.
pub(super) fn records(effect: Effect, options: Options) -> Vec<Vec<Field>> {
    let kinds: Vec<_> = effect.columns.iter().map(kind).collect();
    let shown = |row: Vec<Value>| {
        row.into_iter().zip(&kinds).map(|(value, kind)| Field::new(value, *kind, options)).collect()
    };
    effect.rows.into_iter().map(shown).collect()
}

/// All rows as one JSON text: an array of objects whose members are the columns' labels, in their order.
pub(super) fn formatted(effect: Effect) -> Result<String, Fault> {
    let columns: Vec<_> = effect.columns.iter().map(|column| (column.label.clone(), kind(column))).collect();
    let mut text = Vec::from(b"[");
    for (index, row) in effect.rows.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &Object { columns: &columns, row })
            .map_err(|error| Fault::new("UnsupportedResultException", 400, error.to_string()))?;
        if text.len() > limits::SQL_FORMATTED {
            return Err(fault(SqlError::TooLarge));
        }
    }
    text.push(b']');
    String::from_utf8(text).map_err(|error| Fault::new("UnsupportedResultException", 400, error.to_string()))
}

struct Object<'a> {
    columns: &'a [(String, Kind)],
    row: Vec<Value>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.row.len()))?;
        for ((label, kind), value) in self.columns.iter().zip(&self.row) {
            match value {
                Value::Null => object.serialize_entry(label, &())?,
                Value::Integer(flag @ 0..=1) if *kind == Kind::Boolean => {
                    object.serialize_entry(label, &(*flag == 1))?;
                }
                Value::Integer(number) => object.serialize_entry(label, number)?,
                Value::Real(number) => object.serialize_entry(label, &Real(*number))?,
                Value::Text(text) => object.serialize_entry(label, text)?,
                Value::Blob(bytes) => object.serialize_entry(label, &STANDARD.encode(bytes))?,
            }
        }
        object.end()
    }
}

#[derive(Serialize)]
struct Real(#[serde(serialize_with = "number")] f64);

/// JSON has no infinity; AWS's protocol writes it as text.
fn number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        serializer.serialize_f64(*number)
    } else if *number > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_by_type_and_options() {
        let lossy = Options { decimal_return_type: Decimals::DoubleOrLong, long_return_type: Longs::String };
        let decimal = Kind::Decimal { scale: 2 };
        let text = |text: &str| Field::StringValue(text.into());
        for (value, kind, usual, other) in [
            (Value::Null, Kind::Boolean, Field::IsNull(true), Field::IsNull(true)),
            (Value::Integer(1), Kind::Boolean, Field::BooleanValue(true), Field::BooleanValue(true)),
            (Value::Integer(2), Kind::Boolean, Field::LongValue(2), text("2")),
            (Value::Integer(2), Kind::Plain, Field::LongValue(2), text("2")),
            (Value::Integer(2), decimal, text("2"), Field::DoubleValue(2.0)),
            (Value::Real(2.5), decimal, text("2.5"), Field::DoubleValue(2.5)),
            (Value::Integer(2), Kind::Decimal { scale: 0 }, text("2"), text("2")),
            (
                Value::Blob(vec![0]),
                Kind::Plain,
                Field::BlobValue("AA==".into()),
                Field::BlobValue("AA==".into()),
            ),
        ] {
            assert_eq!(Field::new(value.clone(), kind, Options::default()), usual);
            assert_eq!(Field::new(value, kind, lossy), other);
        }
        let infinite = serde_json::to_string(&Field::DoubleValue(f64::INFINITY)).unwrap();
        assert_eq!(infinite, r#"{"doubleValue":"Infinity"}"#);
    }
}
