//! What waits ahead of one function's events, and what is known of it.

use super::Bounds;
use super::budget::Holding;
use super::decide::{self, Facts, Stage, Step, Way};
use super::rate::Rate;
use super::staffing;
use super::watched::Watched;
use crate::runner::{Copier, Process, Template};
use model::FunctionSpec;
use model::limits::MB;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use store::starts::Copies;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long it is taken to need to replace a process, before it was measured.
const REFILL: Duration = Duration::from_millis(20);

/// How long nothing is tried after a failure; twice that after the next one, and so on.
const REST: Duration = Duration::from_secs(1);

/// What a process that waits is taken to hold at the most, in bytes, before one was measured.
const EACH: u64 = 32 * MB as u64;

/// The longest rest.
const REST_MOST: Duration = Duration::from_secs(5 * 60);

/// After so many failures in a row there is no template, or no more of the same one.
const TRIES: u32 = 3;

/// A process that waits.
pub(super) struct Held {
    pub(super) process: Watched<dyn Process>,
    pub(super) memory: u64,
    pub(super) since: Instant,
}

/// How far the template is, with what it is.
pub(super) enum Original {
    Absent,
    Starting,
    Captured { copier: Arc<dyn Copier>, template: Watched<dyn Template>, memory: u64 },
    Refused,
}

/// One function.
pub(super) struct Pool {
    /// Unlike that of every other pool: a function that changes gets another one.
    pub(super) id: u64,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) way: Way,
    pub(super) original: Original,
    /// Why there is no template.
    pub(super) reason: Option<String>,
    pub(super) held: VecDeque<Held>,
    /// Events that wait for a process.
    pub(super) asking: VecDeque<oneshot::Sender<Box<dyn Process>>>,
    pub(super) making: usize,
    /// Events that run, or wait to.
    pub(super) running: usize,
    /// When the last event came or ended.
    pub(super) used: Option<Instant>,
    pub(super) rate: Rate,
    refill: Duration,
    failures: u32,
    rest_until: Option<Instant>,
    /// The memory of one waiting process.
    each: u64,
    /// More is made in a moment.
    pub(super) fed_later: bool,
}

impl Pool {
    pub(super) fn new(id: u64, spec: &Arc<FunctionSpec>, templates: Result<(), &str>, now: Instant) -> Pool {
        let (way, reason) = decide::way(spec, templates);
        Pool {
            id,
            spec: Arc::clone(spec),
            way,
            original: Original::Absent,
            reason,
            held: VecDeque::new(),
            asking: VecDeque::new(),
            making: 0,
            running: 0,
            used: None,
            rate: Rate::new(now),
            refill: REFILL,
            failures: 0,
            rest_until: None,
            each: (u64::from(spec.memory_mb) * MB as u64).min(EACH),
            fed_later: false,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.original {
            Original::Absent => Stage::Absent,
            Original::Starting => Stage::Starting,
            // Gone, and about to be said so.
            Original::Captured { ref template, .. } if !template.is_there() => Stage::Starting,
            Original::Captured { .. } => Stage::Captured,
            Original::Refused => Stage::Refused,
        }
    }

    /// An event arrives.
    pub(super) fn arrival(&mut self, now: Instant) {
        self.rate.arrival(now);
        self.used = Some(now);
    }

    /// Whether no event has come for so long that nothing need wait any more.
    pub(super) fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        self.running == 0 && self.used.is_none_or(|used| now.saturating_duration_since(used) >= idle)
    }

    /// How many processes should wait. `taken` is the memory that is not this function's to take.
    pub(super) fn target(&self, now: Instant, bounds: &Bounds, taken: u64) -> usize {
        let wanted = match self.way {
            Way::Nothing => return 0,
            Way::Kept => 0,
            _ if self.is_idle(now, bounds.idle) => 0,
            Way::Copies | Way::Ready => staffing::wanted(self.rate.per_second(now), self.refill),
        };
        let room = super::budget::room(bounds.memory, taken + self.template_memory(), self.each);
        staffing::target(wanted, self.spec.ahead as usize, bounds.most, room)
    }

    /// Whether what waits is more than twice what will be asked for within this time.
    pub(super) fn has_enough_for(&self, time: Duration, now: Instant) -> bool {
        self.held.len() as f64 > 2.0 * self.rate.per_second(now) * time.as_secs_f64()
    }

    /// What is to be made now.
    pub(super) fn step(&self, now: Instant, bounds: &Bounds, taken: u64) -> Step {
        decide::step(&Facts {
            way: self.way,
            stage: self.stage(),
            held: self.held.len(),
            making: self.making,
            asking: self.asking.len(),
            target: self.target(now, bounds, taken),
            resting: self.rest_until.is_some_and(|until| now < until),
        })
    }

    pub(super) fn template_memory(&self) -> u64 {
        match &self.original {
            Original::Captured { memory, .. } => *memory,
            _ => 0,
        }
    }

    /// What waits, as the memory budget sees it.
    pub(super) fn holding(&self, now: Instant) -> Holding {
        let processes: u64 = self.held.iter().map(|held| held.memory).sum();
        let used = if self.running > 0 { Some(now) } else { self.used };
        Holding { memory: processes + self.template_memory(), used: used.unwrap_or(now) }
    }

    /// The memory that one process holds, by what the processes say, or the function's limit.
    pub(super) fn memory_of(&self, known: Option<u64>) -> u64 {
        known.unwrap_or(u64::from(self.spec.memory_mb) * MB as u64)
    }

    /// Notes that a process was made, and how long that took.
    pub(super) fn made(&mut self, took: Duration, memory: u64) {
        self.refill = (self.refill * 4 + took) / 5;
        self.each = memory;
        self.failures = 0;
        self.rest_until = None;
    }

    /// Notes that something could not be made or died too soon. What is tried again is tried later and later.
    pub(super) fn failed(&mut self, now: Instant, reason: String) {
        let rest = REST.saturating_mul(1 << self.failures.min(16)).min(REST_MOST);
        self.failures += 1;
        self.rest_until = Some(now + rest);
        // What waits for a copy starts for itself.
        self.asking.clear();
        match self.original {
            Original::Starting => {
                self.original = if self.failures < TRIES { Original::Absent } else { Original::Refused };
                self.reason = Some(reason);
            }
            Original::Captured { .. } if self.failures >= TRIES => {
                self.original = Original::Absent;
                self.reason = Some(reason);
            }
            _ => {}
        }
    }

    /// The template cannot be had, and processes are started instead.
    pub(super) fn refused(&mut self, reason: String) {
        self.original = Original::Refused;
        self.reason = Some(reason);
    }

    /// What others may know of its copies.
    pub(super) fn copies(&self) -> Option<Copies> {
        match (self.way, self.stage(), &self.reason) {
            (Way::Copies, Stage::Captured, _) => Some(Copies::Made),
            (Way::Copies, _, Some(reason)) => Some(Copies::Refused(reason.clone())),
            _ => None,
        }
    }

    /// Takes the process that began to wait last; those that are of no use go.
    pub(super) fn take(&mut self) -> Option<Box<dyn Process>> {
        std::iter::from_fn(|| self.held.pop_back()).find_map(|held| {
            let mut process = held.process.take()?;
            process.is_sound().then_some(process)
        })
    }

    /// Gives a process to an event that waits for one; back if there is none.
    pub(super) fn offer(&mut self, process: Box<dyn Process>) -> Option<Box<dyn Process>> {
        let mut process = process;
        while let Some(asking) = self.asking.pop_front() {
            match asking.send(process) {
                Ok(()) => return None,
                Err(back) => process = back,
            }
        }
        Some(process)
    }

    /// Lets go of waiting processes beyond `target`, and of kept ones that nobody has needed for the idle period.
    pub(super) fn shrink(&mut self, now: Instant, bounds: &Bounds, target: usize) {
        self.held.retain(|held| held.process.is_there());
        let kept = self.way == Way::Kept;
        while self.held.len() > target
            && self.held.front().is_some_and(|held| {
                !kept
                    || now.saturating_duration_since(held.since) >= bounds.idle
                    || self.held.len() > bounds.most
            })
        {
            self.held.pop_front();
        }
    }
}
