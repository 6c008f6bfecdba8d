//! Fair sharing between functions: whoever has had the least has the next turn.
//!
//! Start-time fair queueing: each function has a tag, the time on a virtual clock at which its next turn begins. A turn
//! moves the tag on by what it costs; the clock shows the tag of the turn that was given last. A function that comes back
//! starts at the clock's time at the earliest, so that nobody saves up turns by having had none.

use model::FunctionArn;
use std::collections::{BTreeSet, HashMap};

/// So many functions may be known without waiting before those are forgotten that owe nothing.
const KNOWN: usize = 1_024;

/// The functions that wait for a turn, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Fair {
    order: BTreeSet<(u64, FunctionArn)>,
    tags: HashMap<FunctionArn, Tag>,
    clock: u64,
    /// The latest tag there ever was.
    latest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tag {
    at: u64,
    waits: bool,
}

impl Fair {
    /// `function` waits from now on.
    pub(super) fn join(&mut self, function: &FunctionArn) {
        if self.order.is_empty() {
            // Nobody else wanted what they had: nothing is owed any more.
            self.clock = self.clock.max(self.latest);
        }
        let clock = self.clock;
        match self.tags.get_mut(function) {
            Some(tag) if tag.waits => return,
            Some(tag) => *tag = Tag { at: tag.at.max(clock), waits: true },
            None => {
                self.forget();
                self.tags.insert(function.clone(), Tag { at: clock, waits: true });
            }
        }
        self.order.insert((self.tags[function].at, function.clone()));
    }

    /// `function` waits no longer.
    pub(super) fn leave(&mut self, function: &FunctionArn) {
        if let Some(tag) = self.tags.get_mut(function).filter(|tag| tag.waits) {
            tag.waits = false;
            let key = (tag.at, function.clone());
            self.order.remove(&key);
        }
    }

    /// Those that wait, the one whose turn it is first.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &FunctionArn> {
        self.order.iter().map(|(_, function)| function)
    }

    /// `function` has had a turn that costs `cost`.
    pub(super) fn charge(&mut self, function: &FunctionArn, cost: u64) {
        let at = self.tags.get(function).map_or(self.clock, |tag| tag.at);
        self.clock = self.clock.max(at);
        self.shift(function, |at| at.saturating_add(cost));
    }

    /// A turn of `function` cost `actual` and not what was `charged` for it.
    pub(super) fn correct(&mut self, function: &FunctionArn, charged: u64, actual: u64) {
        self.shift(function, |at| at.saturating_add(actual).saturating_sub(charged));
    }

    fn shift(&mut self, function: &FunctionArn, to: impl Fn(u64) -> u64) {
        let Some(tag) = self.tags.get_mut(function) else { return };
        let (before, after) = (tag.at, to(tag.at));
        tag.at = after;
        self.latest = self.latest.max(after);
        if tag.waits {
            self.order.remove(&(before, function.clone()));
            self.order.insert((after, function.clone()));
        }
    }

    fn forget(&mut self) {
        if self.tags.len() - self.order.len() >= KNOWN {
            let clock = self.clock;
            self.tags.retain(|_, tag| tag.waits || tag.at > clock);
            if self.tags.len() - self.order.len() >= KNOWN {
                self.tags.retain(|_, tag| tag.waits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(fair: &mut Fair, count: usize, cost: impl Fn(&str) -> u64) -> String {
        let mut had = String::new();
        for _ in 0..count {
            let function = fair.in_turn().next().unwrap().clone();
            fair.charge(&function, cost(function.name()));
            had.push_str(function.name());
        }
        had
    }

    #[test]
    fn turns_go_by_what_they_cost() {
        let mut fair = Fair::default();
        fair.join(&FunctionArn::of("a"));
        fair.join(&FunctionArn::of("b"));
        let had = turns(&mut fair, 40, |name| if name == "a" { 30 } else { 10 });
        assert_eq!((had.matches('a').count(), had.matches('b').count()), (10, 30));
    }

    #[test]
    fn one_that_comes_later_is_next_and_has_saved_nothing() {
        let mut fair = Fair::default();
        fair.join(&FunctionArn::of("a"));
        turns(&mut fair, 1_000, |_| 7);
        fair.join(&FunctionArn::of("b"));
        assert_eq!(turns(&mut fair, 6, |_| 7).matches('b').count(), 3);
        fair.leave(&FunctionArn::of("b"));
        assert_eq!(turns(&mut fair, 3, |_| 7), "aaa");
        fair.join(&FunctionArn::of("b"));
        fair.correct(&FunctionArn::of("b"), 7, 100);
        assert_eq!(turns(&mut fair, 8, |_| 7), "aaaaaaaa");
    }

    #[test]
    fn what_is_known_of_those_that_do_not_wait_is_bounded() {
        let mut fair = Fair::default();
        for n in 0..3 * KNOWN {
            let function = FunctionArn::of(&n.to_string());
            fair.join(&function);
            fair.charge(&function, 1);
            fair.leave(&function);
        }
        assert!(fair.tags.len() <= 2 * KNOWN, "{}", fair.tags.len());
    }
}
