//! Columns: what the API tells of them, by the type that they were declared with.

use serde::Serialize;
use store::sql::{Column, Value};

/// Declared types and their codes in `java.sql.Types`, which the API reports.
const CODES: &[(&str, i32)] = &[
    ("bool", 16),
    ("boolean", 16),
    ("tinyint", -6),
    ("smallint", 5),
    ("int2", 5),
    ("int", 4),
    ("int4", 4),
    ("integer", 4),
    ("mediumint", 4),
    ("serial", 4),
    ("bigint", -5),
    ("int8", -5),
    ("bigserial", -5),
    ("real", 7),
    ("float4", 7),
    ("float", 8),
    ("float8", 8),
    ("double", 8),
    ("double precision", 8),
    ("numeric", 2),
    ("decimal", 3),
    ("char", 1),
    ("character", 1),
    ("varchar", 12),
    ("character varying", 12),
    ("text", 12),
    ("clob", 12),
    ("date", 91),
    ("time", 92),
    ("timestamp", 93),
    ("timestamptz", 93),
    ("datetime", 93),
    ("blob", -2),
    ("binary", -2),
    ("varbinary", -2),
    ("bytea", -2),
];

/// `java.sql.Types.OTHER`.
const OTHER: i32 = 1111;

/// What a column holds, as far as it decides how a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 0 and 1 are false and true.
    Boolean,
    /// A number whose digits matter.
    Decimal {
        /// Digits behind the point.
        scale: i32,
    },
    /// Anything else: a value is shown as it is stored.
    Plain,
}

/// `ColumnMetadata` of the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    array_base_column_type: i32,
    is_auto_increment: bool,
    is_case_sensitive: bool,
    is_currency: bool,
    is_signed: bool,
    label: String,
    name: String,
    nullable: i32,
    precision: i32,
    scale: i32,
    schema_name: &'static str,
    table_name: String,
    #[serde(rename = "type")]
    code: i32,
    type_name: String,
}

/// A declared type taken apart: `DECIMAL(10, 2)` is `decimal`, 10 and 2.
struct Declared {
    name: String,
    precision: i32,
    scale: i32,
}

impl Declared {
    fn read(text: &str) -> Self {
        let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
        let mut numbers =
            arguments.trim_end_matches(')').split(',').map(|part| part.trim().parse().unwrap_or(0));
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Declared { name, precision: numbers.next().unwrap_or(0), scale: numbers.next().unwrap_or(0) }
    }
}

/// How the values of `column` are shown.
pub(super) fn kind(column: &Column) -> Kind {
    let Some(declared) = column.declared.as_deref().map(Declared::read) else { return Kind::Plain };
    match declared.name.as_str() {
        "bool" | "boolean" => Kind::Boolean,
        "decimal" | "numeric" => Kind::Decimal { scale: declared.scale },
        _ => Kind::Plain,
    }
}

/// What the API tells of `column`. The type of an expression is that of its first value that is not null.
pub(super) fn metadata(column: &Column, mut values: impl Iterator<Item = Value>) -> Metadata {
    let declared = match column.declared.as_deref() {
        Some(text) => Declared::read(text),
        None => {
            let name = values.find_map(|value| match value {
                Value::Null => None,
                Value::Integer(_) => Some("bigint"),
                Value::Real(_) => Some("double"),
                Value::Text(_) => Some("text"),
                Value::Blob(_) => Some("blob"),
            });
            Declared { name: name.unwrap_or("text").into(), precision: 0, scale: 0 }
        }
    };
    let code = CODES.iter().find(|(name, _)| *name == declared.name).map_or(OTHER, |(_, code)| *code);
    Metadata {
        array_base_column_type: 0,
        is_auto_increment: column.auto_increment,
        is_case_sensitive: matches!(code, 1 | 12),
        is_currency: false,
        is_signed: matches!(code, -6..=-5 | 2..=8),
        label: column.label.clone(),
        name: column.name.clone(),
        nullable: match column.nullable {
            Some(false) => 0,
            Some(true) => 1,
            None => 2,
        },
        precision: declared.precision,
        scale: declared.scale,
        schema_name: "",
        table_name: column.table.clone().unwrap_or_default(),
        code,
        type_name: declared.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: Option<&str>) -> Column {
        Column {
            label: "l".into(),
            name: "n".into(),
            table: None,
            declared: declared.map(str::to_owned),
            nullable: None,
            auto_increment: false,
        }
    }

    #[test]
    fn declared_types_have_jdbc_codes() {
        for (declared, name, code, precision, scale) in [
            ("INTEGER", "integer", 4, 0, 0),
            ("BigInt", "bigint", -5, 0, 0),
            ("DECIMAL(10, 2)", "decimal", 3, 10, 2),
            ("varchar(255)", "varchar", 12, 255, 0),
            ("DOUBLE  PRECISION", "double precision", 8, 0, 0),
            ("BOOLEAN", "boolean", 16, 0, 0),
            ("JSON", "json", OTHER, 0, 0),
            ("x(", "x", OTHER, 0, 0),
        ] {
            let found = metadata(&column(Some(declared)), std::iter::empty());
            assert_eq!((found.type_name.as_str(), found.code), (name, code));
            assert_eq!((found.precision, found.scale), (precision, scale));
        }
        assert_eq!(metadata(&column(None), [Value::Null, Value::Real(1.0)].into_iter()).code, 8);
        assert_eq!(kind(&column(Some("numeric(5,1)"))), Kind::Decimal { scale: 1 });
    }
}
