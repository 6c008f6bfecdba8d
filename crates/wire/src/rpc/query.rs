//! Forms of the query protocol: `Name.1.Part=value` becomes the same tree that JSON would have carried.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most parts that a member's name may have.
const DEPTH: usize = 16;

/// A list or map whose items stand one beside the other under a name of their own (`xmlFlattened`).
#[derive(Clone, Copy, Debug)]
pub struct Flat {
    /// What JSON calls the whole of it.
    pub member: &'static str,
    /// What the query protocol calls each item, in forms and in XML.
    pub item: &'static str,
    /// Its shape.
    pub kind: Kind,
}

/// The shape of a [`Flat`].
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A list.
    List,
    /// A list in an answer. In a form, a member of its items' name is another one.
    AnswerList,
    /// A map, whose items have a key and a value so called.
    Map(&'static str, &'static str),
}

impl Flat {
    /// The list `member` of `item`s.
    pub const fn list(member: &'static str, item: &'static str) -> Self {
        Flat { member, item, kind: Kind::List }
    }

    /// The list `member` of `item`s that only answers have.
    pub const fn answer_list(member: &'static str, item: &'static str) -> Self {
        Flat { member, item, kind: Kind::AnswerList }
    }

    /// The map `member` of `item`s that have a `key` and a `value`.
    pub const fn map(
        member: &'static str,
        item: &'static str,
        key: &'static str,
        value: &'static str,
    ) -> Self {
        Flat { member, item, kind: Kind::Map(key, value) }
    }
}

/// A form before it is known what its parts are.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    parts: BTreeMap<String, Node>,
}

/// The members of an input, from the pairs of a form.
pub(super) fn members(pairs: &[(String, String)], flat: &[Flat]) -> Result<Value, String> {
    let mut root = Node::default();
    for (name, value) in pairs {
        if name.split('.').count() > DEPTH {
            return Err(format!("The parameter {name} has too many parts."));
        }
        let node =
            name.split('.').fold(&mut root, |node, part| node.parts.entry(part.to_owned()).or_default());
        node.value = Some(value.clone());
    }
    Ok(Value::Object(object(root.parts, flat)))
}

fn object(parts: BTreeMap<String, Node>, flat: &[Flat]) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, node) in parts {
        let mut known = flat.iter().filter(|flat| !matches!(flat.kind, Kind::AnswerList));
        match known.find(|flat| flat.item == name || flat.member == name) {
            Some(flat_member) => {
                let items = items(node, flat);
                let value = match flat_member.kind {
                    Kind::List | Kind::AnswerList => Value::Array(items),
                    Kind::Map(key, value) => map(items, key, value),
                };
                members.insert(flat_member.member.to_owned(), value);
            }
            None => {
                members.insert(name, value(node, flat));
            }
        }
    }
    members
}

fn value(mut node: Node, flat: &[Flat]) -> Value {
    if let Some(text) = node.value.filter(|_| node.parts.is_empty()) {
        return Value::String(text);
    }
    if node.parts.len() == 1 {
        if let Some(list) = node.parts.remove("member") {
            return Value::Array(items(list, flat));
        }
        if let Some(entries) = node.parts.remove("entry") {
            return map(items(entries, flat), "key", "value");
        }
    }
    Value::Object(object(node.parts, flat))
}

/// The parts of `node` in the order of their numbers.
fn items(node: Node, flat: &[Flat]) -> Vec<Value> {
    if node.parts.is_empty() {
        // `Name=` is an empty list, and `Name=value` a list of one.
        return node.value.filter(|text| !text.is_empty()).map(Value::String).into_iter().collect();
    }
    let mut numbered: Vec<(u64, Node)> = node
        .parts
        .into_iter()
        .flat_map(|(name, node)| match (name.parse(), name.as_str()) {
            (Ok(number), _) => vec![(number, node)],
            (Err(_), "member") => {
                node.parts.into_iter().filter_map(|(n, node)| Some((n.parse().ok()?, node))).collect()
            }
            // `Name.Part=` without a number is the first and only item.
            (Err(_), _) => vec![(0, Node { value: None, parts: BTreeMap::from([(name, node)]) })],
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    let mut unnumbered = Node::default();
    let mut found = Vec::with_capacity(numbered.len());
    for (number, node) in numbered {
        if number == 0 {
            unnumbered.parts.extend(node.parts);
        } else {
            found.push(value(node, flat));
        }
    }
    if !unnumbered.parts.is_empty() {
        found.insert(0, value(unnumbered, flat));
    }
    found
}

fn map(items: Vec<Value>, key: &str, value: &str) -> Value {
    let pair = |item: Value| {
        let Value::Object(mut item) = item else { return None };
        let Some(Value::String(key)) = item.remove(key) else { return None };
        Some((key, item.remove(value).unwrap_or_default()))
    };
    Value::Object(items.into_iter().filter_map(pair).collect())
}
