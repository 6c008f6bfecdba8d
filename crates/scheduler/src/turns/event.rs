//! The lane of durable events: they wait in the store, and only those that are about to run are here.

use super::{CLAIMED, Facts, PATIENCE, Turn, Turns};
use model::{FunctionArn, Timestamp, limits};
use tokio::time::Instant;

impl<C, E> Turns<C, E> {
    /// A durable event of `function` that is not here is due at `due`.
    pub fn due(&mut self, function: &FunctionArn, due: Timestamp) {
        let share = self.share(function);
        match share.due {
            Some(known) if known <= due => return,
            Some(known) => drop(self.timers.remove(&(known, function.clone()))),
            None => {}
        }
        self.share(function).due = Some(due);
        self.timers.insert((due, function.clone()));
    }

    /// Forgets all that is known of when durable events are due.
    pub fn forget_due(&mut self) {
        for (_, function) in std::mem::take(&mut self.timers) {
            if let Some(share) = self.functions.get_mut(&function) {
                share.due = None;
            }
        }
    }

    /// The store has handed over `events` of `function`; the next one that it has is due at `next`.
    pub fn claimed(&mut self, function: &FunctionArn, events: Vec<E>, next: Option<Timestamp>, now: Instant) {
        self.claimed += events.len();
        let share = self.share(function);
        share.events.extend(events);
        let known = share.due.take();
        let empty = share.events.is_empty();
        share.more = false;
        share.since = if empty { None } else { Some(now) };
        if let Some(known) = known {
            self.timers.remove(&(known, function.clone()));
        }
        if let Some(next) = next {
            self.due(function, next);
        }
        if empty {
            self.events.leave(function);
            self.forget(function);
        } else {
            self.rejoin(function);
        }
    }

    /// All durable events that wait here, to be handed back.
    pub fn take_claimed(&mut self) -> Vec<E> {
        self.claimed = 0;
        self.functions.values_mut().flat_map(|share| std::mem::take(&mut share.events)).collect()
    }

    /// The functions with durable events that could run if there were room.
    pub fn backlogged(&self) -> Vec<FunctionArn> {
        let waits = |share: &super::Share<C, E>| share.more || !share.events.is_empty();
        let waiting = self.functions.iter().filter(|(_, share)| waits(share));
        let mut names: Vec<_> = waiting.map(|(function, _)| function.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Functions whose events have become due wait for a turn.
    pub(super) fn ring(&mut self, now: Instant, wall: Timestamp) {
        while let Some((due, function)) = self.timers.first().filter(|(due, _)| *due <= wall).cloned() {
            self.timers.remove(&(due, function.clone()));
            let share = self.share(&function);
            share.due = None;
            share.more = true;
            share.since.get_or_insert(now);
            self.rejoin(&function);
        }
    }

    /// The durable event whose turn it is, if there is room for it.
    pub(super) fn next_event(
        &mut self,
        now: Instant,
        facts: &impl Fn(&FunctionArn) -> Option<Facts>,
    ) -> Option<Turn<C, E>> {
        let candidates = Self::candidates(&self.events);
        if candidates.is_empty() {
            return None;
        }
        if self.load.background >= self.pace.limit() {
            self.held_back = true;
            return None;
        }
        for function in candidates {
            let Some(share) = self.functions.get(&function) else {
                self.events.leave(&function);
                continue;
            };
            let waited = share.since.map_or_else(Default::default, |since| now.duration_since(since));
            // An event that is only settled takes no room.
            let facts = facts(&function);
            let Facts { memory_mb, start } = facts.unwrap_or(Facts { memory_mb: 0, start: false });
            if facts.is_some() && !self.has_place(&function) {
                if self.is_at_own_limit(&function) {
                    self.events.leave(&function);
                }
                continue;
            }
            if !self.capacity.has_memory(&self.load, memory_mb) {
                if waited >= PATIENCE {
                    return None;
                }
                continue;
            }
            // One that has to start a process is placed only when it can do so at once, so that it is not in the way
            // of those that somebody waits for.
            if start && self.load.starting >= self.capacity.starting {
                continue;
            }
            let Some(event) = self.share(&function).events.pop_front() else {
                let most = limits::EVENTS_CLAIMED.saturating_sub(self.claimed).clamp(1, CLAIMED);
                return Some(Turn::Claim(function.clone(), self.places(&function).clamp(1, most)));
            };
            self.claimed -= 1;
            let entry = self.enter(&function, memory_mb, true, now);
            let share = self.share(&function);
            share.since = Some(now);
            if share.events.is_empty() && !share.more {
                share.since = None;
                self.events.leave(&function);
            }
            return Some(Turn::Event(event, entry));
        }
        None
    }

    /// How many more events of `function` may run before its own limit, if it has one.
    fn places(&self, function: &FunctionArn) -> usize {
        let owner = function.unqualified();
        let running = self.running.get(&owner).copied().unwrap_or(0);
        self.reserved.get(&owner).map_or(usize::MAX, |reserved| reserved.saturating_sub(running))
    }
}
