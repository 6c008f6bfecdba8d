//! Event patterns: which events a filter lets through.
//!
//! A pattern is a JSON object in the shape of the events that it matches, with lists of conditions for leaves.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>

use serde_json::{Map, Value};
use std::net::IpAddr;

/// The deepest nesting of a pattern.
const DEPTH: usize = 32;

/// The most ways that the `$or`s of one pattern may be combined.
const COMBINATIONS: usize = 1000;

/// A pattern that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Fields);

/// What an object must have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fields {
    fields: Vec<(String, Node)>,
    /// Of each list, one alternative must match.
    any: Vec<Vec<Fields>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Object(Fields),
    /// One condition must match.
    Leaf(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Is(Value),
    Text(Text),
    Not(Vec<Condition>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    Cidr(IpAddr, u32),
}

#[derive(Clone, Debug, PartialEq)]
enum Text {
    Prefix(String, bool),
    Suffix(String, bool),
    IgnoreCase(String),
    Wildcard(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let mut combinations = 1;
        Ok(Pattern(read_fields(&value, DEPTH, &mut combinations)?))
    }

    /// Whether `event` is let through.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.match_value(Some(event))
    }

    /// Whether the pattern looks into the field `name` of the event, which it takes for an object.
    pub fn looks_into(&self, name: &str) -> bool {
        self.0.looks_into(name)
    }
}

fn read_fields(value: &Value, depth: usize, combinations: &mut usize) -> Result<Fields, String> {
    let object = value.as_object().ok_or("it must be an object")?;
    let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
    if object.is_empty() {
        return Err("an empty object matches nothing".to_owned());
    }
    let mut read = Fields::default();
    for (name, value) in object {
        match value {
            Value::Array(alternatives) if name == "$or" && alternatives.iter().all(Value::is_object) => {
                if alternatives.len() < 2 {
                    return Err("$or needs two alternatives at least".to_owned());
                }
                *combinations = combinations.saturating_mul(alternatives.len());
                if *combinations > COMBINATIONS {
                    return Err("its alternatives have too many combinations".to_owned());
                }
                let alternatives = alternatives.iter().map(|one| read_fields(one, depth, combinations));
                read.any.push(alternatives.collect::<Result<_, _>>()?);
            }
            Value::Array(conditions) if !conditions.is_empty() => {
                let conditions = conditions.iter().map(read_condition).collect::<Result<_, _>>()?;
                read.fields.push((name.clone(), Node::Leaf(conditions)));
            }
            Value::Object(_) => {
                read.fields.push((name.clone(), Node::Object(read_fields(value, depth, combinations)?)));
            }
            _ => return Err(format!("\"{name}\" must be an object or a list of conditions")),
        }
    }
    Ok(read)
}

fn read_condition(value: &Value) -> Result<Condition, String> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(_) => return Err("a condition must not be a list".to_owned()),
        _ => return Ok(Condition::Is(value.clone())),
    };
    let (name, value) = only(object)?;
    Ok(match name {
        "anything-but" => Condition::Not(read_anything_but(value)?),
        "numeric" => Condition::Numeric(read_numeric(value)?),
        "exists" => Condition::Exists(value.as_bool().ok_or("exists must be true or false")?),
        "cidr" => {
            let text = value.as_str().ok_or("cidr must be a string")?;
            let (address, bits) = text.split_once('/').ok_or("cidr must look like 10.0.0.0/24")?;
            let address: IpAddr = address.parse().map_err(|_| "cidr must begin with an address")?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or("cidr must end with a number of bits")?;
            Condition::Cidr(address, bits)
        }
        _ => Condition::Text(read_text(name, value)?),
    })
}

fn only(object: &Map<String, Value>) -> Result<(&str, &Value), String> {
    match object.iter().next() {
        Some((name, value)) if object.len() == 1 => Ok((name, value)),
        _ => Err("a condition must have exactly one operator".to_owned()),
    }
}

fn read_text(name: &str, value: &Value) -> Result<Text, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(format!("{name} must be a string"));
    let end = |value: &Value| match value {
        Value::Object(object) => match only(object)? {
            ("equals-ignore-case", value) => Ok((text(value)?.to_lowercase(), true)),
            (other, _) => Err(format!("{name} does not know {other}")),
        },
        value => Ok((text(value)?, false)),
    };
    match name {
        "prefix" => end(value).map(|(text, ignore)| Text::Prefix(text, ignore)),
        "suffix" => end(value).map(|(text, ignore)| Text::Suffix(text, ignore)),
        "equals-ignore-case" => Ok(Text::IgnoreCase(text(value)?.to_lowercase())),
        "wildcard" => {
            let text = text(value)?;
            if text.contains("**") {
                return Err("wildcards must not follow each other".to_owned());
            }
            Ok(Text::Wildcard(wildcard_parts(&text)))
        }
        other => Err(format!("the operator {other} is not known")),
    }
}

/// What stands between the `*`s; a `\` makes the next character itself.
fn wildcard_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.push(chars.next().unwrap_or('\\')),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts
}

fn read_anything_but(value: &Value) -> Result<Vec<Condition>, String> {
    let literal = |value: &Value| match value {
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {
            Ok(Condition::Is(value.clone()))
        }
        _ => Err("anything-but must list strings or numbers".to_owned()),
    };
    match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(literal).collect(),
        Value::Object(object) => {
            let (name, value) = only(object)?;
            let one = |value: &Value| read_text(name, value).map(Condition::Text);
            match value {
                Value::Array(values) if !values.is_empty() => values.iter().map(one).collect(),
                value => Ok(vec![one(value)?]),
            }
        }
        value => Ok(vec![literal(value)?]),
    }
}

fn read_numeric(value: &Value) -> Result<Vec<(Comparison, f64)>, String> {
    let parts = value.as_array().filter(|parts| [2, 4].contains(&parts.len()));
    let parts = parts.ok_or("numeric must be a list such as [\">\", 0, \"<=\", 5]")?;
    let pairs = parts.chunks_exact(2).map(|pair| {
        let comparison = match pair[0].as_str() {
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::AtMost,
            Some("=") => Comparison::Equal,
            Some(">=") => Comparison::AtLeast,
            Some(">") => Comparison::More,
            _ => return Err("numeric knows <, <=, =, >= and >".to_owned()),
        };
        Ok((comparison, pair[1].as_f64().ok_or("numeric compares with numbers")?))
    });
    pairs.collect()
}

impl Fields {
    fn looks_into(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, node)| field == name && matches!(node, Node::Object(_)))
            || self.any.iter().flatten().any(|fields| fields.looks_into(name))
    }

    /// Whether the value has all the fields; one object of a list is enough.
    fn match_value(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Array(values)) if !values.is_empty() => {
                values.iter().any(|one| self.match_value(Some(one)))
            }
            other => self.match_object(other.and_then(Value::as_object)),
        }
    }

    /// What is not there, or is no object, may still be asked not to exist.
    fn match_object(&self, object: Option<&Map<String, Value>>) -> bool {
        let field = |name: &str| object.and_then(|object| object.get(name));
        let all = self.fields.iter().all(|(name, node)| match node {
            Node::Object(fields) => fields.match_value(field(name)),
            Node::Leaf(conditions) => conditions.iter().any(|condition| condition.matches(field(name))),
        });
        all && self.any.iter().all(|alternatives| alternatives.iter().any(|one| one.match_object(object)))
    }
}

impl Condition {
    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            // Only leaves exist.
            (Condition::Exists(wanted), value) => *wanted == value.is_some_and(|value| !value.is_object()),
            (_, None | Some(Value::Object(_))) => false,
            (Condition::Not(conditions), Some(Value::Array(values))) => {
                values.iter().any(|value| !conditions.iter().any(|condition| condition.matches_one(value)))
            }
            (condition, Some(Value::Array(values))) => {
                values.iter().any(|value| condition.matches_one(value))
            }
            (condition, Some(value)) => condition.matches_one(value),
        }
    }

    fn matches_one(&self, value: &Value) -> bool {
        match self {
            Condition::Is(Value::Number(wanted)) => {
                value.as_f64().is_some_and(|number| Some(number) == wanted.as_f64())
            }
            Condition::Is(wanted) => wanted == value,
            Condition::Text(text) => value.as_str().is_some_and(|value| text.matches(value)),
            Condition::Not(conditions) => !conditions.iter().any(|condition| condition.matches_one(value)),
            Condition::Numeric(bounds) => value.as_f64().is_some_and(|number| {
                bounds.iter().all(|(comparison, bound)| match comparison {
                    Comparison::Less => number < *bound,
                    Comparison::AtMost => number <= *bound,
                    Comparison::Equal => number == *bound,
                    Comparison::AtLeast => number >= *bound,
                    Comparison::More => number > *bound,
                })
            }),
            Condition::Exists(wanted) => *wanted,
            Condition::Cidr(network, bits) => {
                let address = value.as_str().and_then(|text| text.parse().ok());
                address.is_some_and(|address| within(address, *network, *bits))
            }
        }
    }
}

fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl Text {
    fn matches(&self, value: &str) -> bool {
        match self {
            Text::Prefix(prefix, false) => value.starts_with(prefix.as_str()),
            Text::Prefix(prefix, true) => value.to_lowercase().starts_with(prefix.as_str()),
            Text::Suffix(suffix, false) => value.ends_with(suffix.as_str()),
            Text::Suffix(suffix, true) => value.to_lowercase().ends_with(suffix.as_str()),
            Text::IgnoreCase(text) => value.to_lowercase() == *text,
            Text::Wildcard(parts) => wildcard(parts, value),
        }
    }
}

/// Whether `value` is made of `parts` with anything in between: in time proportional to its length times theirs.
fn wildcard(parts: &[String], value: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some(mut value) = value.strip_prefix(first.as_str()) else { return false };
    let Some((last, middle)) = rest.split_last() else { return value.is_empty() };
    for part in middle {
        match value.find(part.as_str()) {
            Some(at) => value = &value[at + part.len()..],
            None => return false,
        }
    }
    value.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_match_by_every_operator() {
        for (pattern, event, expected) in [
            (json!({"a": ["x", 1, true, null]}), json!({"a": "x"}), true),
            (json!({"a": ["x", 1, true, null]}), json!({"a": 1.0}), true),
            (json!({"a": ["x", 1, true, null]}), json!({"a": null}), true),
            (json!({"a": ["x", 1, true, null]}), json!({"a": "y"}), false),
            (json!({"a": ["x"]}), json!({}), false),
            (json!({"a": ["x"]}), json!({"a": ["y", "x"]}), true),
            (json!({"a": {"b": ["x"]}}), json!({"a": {"b": "x", "c": 1}}), true),
            (json!({"a": {"b": ["x"]}}), json!({"a": [{"b": "y"}, {"b": "x"}]}), true),
            (json!({"a": [{"prefix": "ab"}]}), json!({"a": "abc"}), true),
            (json!({"a": [{"prefix": {"equals-ignore-case": "AB"}}]}), json!({"a": "aBc"}), true),
            (json!({"a": [{"suffix": "bc"}]}), json!({"a": "abc"}), true),
            (json!({"a": [{"suffix": {"equals-ignore-case": "BC"}}]}), json!({"a": "abC"}), true),
            (json!({"a": [{"equals-ignore-case": "ABC"}]}), json!({"a": "abc"}), true),
            (json!({"a": [{"anything-but": "x"}]}), json!({"a": "y"}), true),
            (json!({"a": [{"anything-but": ["x", "y"]}]}), json!({"a": "y"}), false),
            (json!({"a": [{"anything-but": [1, 2]}]}), json!({"a": 3}), true),
            (json!({"a": [{"anything-but": {"prefix": "x"}}]}), json!({"a": "xy"}), false),
            (json!({"a": [{"anything-but": {"suffix": ["x", "y"]}}]}), json!({"a": "xz"}), true),
            (json!({"a": [{"anything-but": {"wildcard": "*/x/*"}}]}), json!({"a": "a/x/b"}), false),
            (json!({"a": [{"anything-but": "x"}]}), json!({}), false),
            (json!({"a": [{"numeric": [">", 0, "<=", 5]}]}), json!({"a": 5}), true),
            (json!({"a": [{"numeric": [">", 0, "<=", 5]}]}), json!({"a": 0}), false),
            (json!({"a": [{"numeric": ["=", 3.5]}]}), json!({"a": 3.5}), true),
            (json!({"a": [{"numeric": ["=", 3]}]}), json!({"a": "3"}), false),
            (json!({"a": [{"exists": true}]}), json!({"a": null}), true),
            (json!({"a": [{"exists": false}]}), json!({"b": 1}), true),
            (json!({"a": {"b": [{"exists": false}]}}), json!({}), true),
            (json!({"a": [{"exists": false}]}), json!({"a": 1}), false),
            (json!({"a": [{"wildcard": "a*c*e"}]}), json!({"a": "abcde"}), true),
            (json!({"a": [{"wildcard": "a*c"}]}), json!({"a": "abcd"}), false),
            (json!({"a": [{"wildcard": "a\\*c"}]}), json!({"a": "a*c"}), true),
            (json!({"a": [{"cidr": "10.0.0.0/24"}]}), json!({"a": "10.0.0.255"}), true),
            (json!({"a": [{"cidr": "10.0.0.0/24"}]}), json!({"a": "10.0.1.0"}), false),
            (json!({"a": [{"cidr": "::/0"}]}), json!({"a": "fe80::1"}), true),
            (
                json!({"$or": [{"a": [1]}, {"b": [{"prefix": "x"}]}], "c": [1]}),
                json!({"b": "xy", "c": 1}),
                true,
            ),
            (json!({"$or": [{"a": [1]}, {"b": [2]}]}), json!({"a": 2, "b": 1}), false),
        ] {
            let read = Pattern::parse(&pattern.to_string()).unwrap();
            assert_eq!(read.matches(&event), expected, "{pattern} {event}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let deep = format!("{}[1]{}", "{\"a\":".repeat(40), "}".repeat(40));
        for pattern in [
            "",
            "[]",
            "{}",
            r#"{"a":"x"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[{}]}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"a":[{"prefix":1}]}"#,
            r#"{"a":[{"fly":"x"}]}"#,
            r#"{"a":[{"numeric":[">"]}]}"#,
            r#"{"a":[{"exists":"x"}]}"#,
            r#"{"a":[{"wildcard":"a**"}]}"#,
            r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#,
            r#"{"$or":[{"a":[1]}]}"#,
            deep.as_str(),
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
