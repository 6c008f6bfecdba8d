//! Which functions' events led to one, so that a loop can be found.

use crate::FunctionArn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most functions that a lineage tells of; one that leads through more is cut, and its loop is found later.
const FUNCTIONS: usize = 8;

/// The functions whose events led to an event, each with how many of its events did.
///
/// It goes with records and events of the platform's own, and in the trace header with whatever a function sends, since
/// SDKs send that header on: `Root=...;Parent=...;Sampled=0;Lineage=a87bd80c:1|68fd508a:5`.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage(BTreeMap<String, u32>);

impl Lineage {
    /// What a trace header tells; nothing if it cannot be read.
    pub fn of_header(header: &str) -> Self {
        let field = header.split(';').find_map(|field| field.trim().strip_prefix("Lineage="));
        let functions = field.into_iter().flat_map(|field| field.split('|')).filter_map(|one| {
            let (name, count) = one.split_once(':')?;
            let is_name = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_name.then_some((name.to_ascii_lowercase(), count.parse().ok()?))
        });
        Lineage(functions.take(FUNCTIONS).collect())
    }

    /// How many events of `function`, of whatever version, led here.
    pub fn count(&self, function: &FunctionArn) -> u32 {
        self.0.get(&name(function)).copied().unwrap_or(0)
    }

    /// The most events of any one function.
    pub fn most(&self) -> u32 {
        self.0.values().max().copied().unwrap_or(0)
    }

    /// The lineage of what an event of `function` leads to, if this is its own.
    pub fn through(&self, function: &FunctionArn) -> Self {
        let mut next = self.clone();
        let name = name(function);
        if next.0.len() < FUNCTIONS || next.0.contains_key(&name) {
            let count = next.0.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        next
    }

    /// The lineage of what comes of both.
    pub fn and(mut self, other: Self) -> Self {
        for (name, count) in other.0 {
            if self.0.len() < FUNCTIONS || self.0.contains_key(&name) {
                let known = self.0.entry(name).or_default();
                *known = count.max(*known);
            }
        }
        self
    }

    /// Whether nothing led here that is known of.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field of the trace header: `Lineage=a87bd80c:1|68fd508a:5`.
    pub fn field(&self) -> String {
        let functions: Vec<_> = self.0.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        format!("Lineage={}", functions.join("|"))
    }
}

/// A short name for a function: FNV-1a of its unqualified ARN. Two that share one are counted as one.
fn name(function: &FunctionArn) -> String {
    let bytes = function
        .unqualified()
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{bytes:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lineage_survives_the_trace_header() {
        let (f, g) = (FunctionArn::of("f"), FunctionArn::of("g"));
        let lineage = Lineage::default().through(&f).through(&g).through(&f);
        assert_eq!((lineage.count(&f), lineage.count(&g), lineage.most()), (2, 1, 2));
        let header = format!("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0;{}", lineage.field());
        assert_eq!(Lineage::of_header(&header), lineage);
        assert_eq!(Lineage::of_header(&header).through(&g).and(lineage).count(&g), 2);
    }

    #[test]
    fn what_cannot_be_read_is_nothing_and_there_is_never_much() {
        for header in ["", "Root=1", "Lineage=", "Lineage=x:1", "Lineage=a87bd80c", "Lineage=a87bd80c:-1"] {
            assert!(Lineage::of_header(header).is_empty(), "{header}");
        }
        let many: Vec<_> = (0..1_000).map(|n| format!("{n:08x}:1")).collect();
        let lineage = Lineage::of_header(&format!("Lineage={}", many.join("|")));
        let more =
            lineage.through(&FunctionArn::of("f")).and(Lineage::default().through(&FunctionArn::of("g")));
        assert_eq!(more.field().matches(':').count(), FUNCTIONS);
        assert_eq!(Lineage::of_header("Lineage=a87bd80c:4294967295").most(), u32::MAX);
    }
}
