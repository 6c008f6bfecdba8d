//! Answers of the query protocol.

use super::query::{Flat, Kind};
use model::RequestId;
use serde_json::Value;
use std::fmt::Write as _;

/// The answer of an operation.
pub(super) fn answer(operation: &str, xmlns: &str, id: RequestId, output: &Value, flat: &[Flat]) -> String {
    let mut xml = format!("<?xml version=\"1.0\"?><{operation}Response xmlns=\"{xmlns}\">");
    if !output.is_null() {
        let result = format!("{operation}Result");
        element(&mut xml, &result, output, flat);
    }
    let _ =
        write!(xml, "<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>");
    xml
}

/// The answer that carries an error.
pub(super) fn error(xmlns: &str, id: RequestId, sender: &str, code: &str, message: &str) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"{xmlns}\"><Error><Type>{sender}</Type><Code>{code}</Code>\
         <Message>"
    );
    escape(&mut xml, message);
    let _ = write!(xml, "</Message><Detail/></Error><RequestId>{id}</RequestId></ErrorResponse>");
    xml
}

fn element(xml: &mut String, name: &str, value: &Value, flat: &[Flat]) {
    if value.is_null() {
        return;
    }
    let _ = write!(xml, "<{name}>");
    content(xml, value, flat);
    let _ = write!(xml, "</{name}>");
}

fn content(xml: &mut String, value: &Value, flat: &[Flat]) {
    match value {
        Value::Null => {}
        Value::Bool(value) => {
            let _ = write!(xml, "{value}");
        }
        Value::Number(value) => {
            let _ = write!(xml, "{value}");
        }
        Value::String(value) => escape(xml, value),
        Value::Array(items) => items.iter().for_each(|item| element(xml, "member", item, flat)),
        Value::Object(members) => {
            for (name, value) in members {
                match (flat.iter().find(|flat| flat.member == name), value) {
                    (Some(Flat { item, kind: Kind::List | Kind::AnswerList, .. }), Value::Array(items)) => {
                        items.iter().for_each(|value| element(xml, item, value, flat));
                    }
                    (Some(Flat { item, kind: Kind::Map(key, of), .. }), Value::Object(pairs)) => {
                        for (name, value) in pairs {
                            let _ = write!(xml, "<{item}><{key}>");
                            escape(xml, name);
                            let _ = write!(xml, "</{key}>");
                            element(xml, of, value, flat);
                            let _ = write!(xml, "</{item}>");
                        }
                    }
                    _ => element(xml, name, value, flat),
                }
            }
        }
    }
}

/// Writes `text` so that a parser gives it back as it is; what XML cannot carry at all becomes a replacement.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // Parsers turn a bare one into a line feed.
            '\r' => xml.push_str("&#xD;"),
            '\t' | '\n' => xml.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(c),
        }
    }
}
