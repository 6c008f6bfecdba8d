//! The lane of calls: somebody waits for each.

use super::{Call, Classes, PATIENCE, Throttled, Turn, Turns};
use model::{FunctionArn, limits};
use tokio::time::Instant;

impl<C, E> Turns<C, E> {
    /// A call has come in; it waits, or it is handed back with the reason why it cannot.
    pub fn call(
        &mut self,
        function: &FunctionArn,
        memory_mb: u32,
        call: C,
        now: Instant,
    ) -> Result<(), (C, Throttled)> {
        let of_function = self.functions.get(function).map_or(0, |share| share.calls.len());
        // Whoever has much waiting gets no more of the lane than is free, so that there is some left for others.
        let free = limits::SYNC_LANE.saturating_sub(self.waiting);
        if self.reserved.get(&function.unqualified()) == Some(0) || of_function >= free {
            return Err((call, self.reason(function)));
        }
        let share = self.share(function);
        share.calls.push_back(Call { call, memory_mb, since: now });
        let first = share.calls.len() == 1;
        self.waiting += 1;
        if first {
            self.deadlines.insert((now + self.patience, function.clone()));
            self.rejoin(function);
        }
        Ok(())
    }

    /// The calls that have waited for too long, each with the reason.
    pub fn expired(&mut self, now: Instant) -> Vec<(C, Throttled)> {
        let mut expired = Vec::new();
        while let Some((at, function)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            match self.pop(&function) {
                Some(call) => {
                    let reason = self.reason(&function);
                    expired.push((call.call, reason));
                }
                None => drop(self.deadlines.remove(&(at, function))),
            }
        }
        expired
    }

    /// All calls that wait, for whoever has to tell them.
    pub fn drain(&mut self) -> Vec<C> {
        let functions: Vec<FunctionArn> = self.functions.keys().cloned().collect();
        let mut all = Vec::new();
        for function in functions {
            while let Some(call) = self.pop(&function) {
                all.push(call.call);
            }
        }
        all
    }

    /// Why there is no room for `function`.
    fn reason(&self, function: &FunctionArn) -> Throttled {
        if self.is_at_own_limit(function) { Throttled::Function } else { Throttled::Account }
    }

    /// The call whose turn it is, if there is room for it.
    pub(super) fn next_call(&mut self, now: Instant) -> Option<Turn<C, E>> {
        if self.waiting == 0 {
            return None;
        }
        for function in Self::candidates(&self.calls) {
            let Some(first) = self.functions.get(&function).and_then(|share| share.calls.front()) else {
                self.calls.leave(&function);
                continue;
            };
            let (memory_mb, waited) = (first.memory_mb, now.duration_since(first.since));
            if !self.has_place(&function) {
                if self.is_at_own_limit(&function) {
                    // At its own limit: it waits again when one of its events has ended.
                    self.calls.leave(&function);
                }
                continue;
            }
            if !self.capacity.has_memory(&self.load, memory_mb) {
                if waited >= PATIENCE {
                    return None;
                }
                continue;
            }
            let call = self.pop(&function)?;
            let entry = self.enter(&function, memory_mb, false, now);
            return Some(Turn::Call(call.call, entry));
        }
        None
    }

    /// Takes the first call of `function` out.
    fn pop(&mut self, function: &FunctionArn) -> Option<Call<C>> {
        let share = self.functions.get_mut(function)?;
        let call = share.calls.pop_front()?;
        let next = share.calls.front().map(|call| call.since);
        self.waiting -= 1;
        self.deadlines.remove(&(call.since + self.patience, function.clone()));
        match next {
            Some(since) => drop(self.deadlines.insert((since + self.patience, function.clone()))),
            None => Classes::leave(&mut self.calls, function),
        }
        Some(call)
    }
}
