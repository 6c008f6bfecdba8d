//! Whose turn it is: what waits, by function, and what runs. No I/O and no clock of its own, so that a simulation can drive
//! it as the server does.
//!
//! There are two lanes. Calls wait here whole; of durable events, only the few that are about to run are here, and of each
//! function the time at which its next one is due. [`fair`] orders the functions of a lane, [`crate::place`] says whether
//! there is room, [`pace`] how much of it goes to what nobody waits for.

mod call;
mod event;
mod fair;
pub(crate) mod pace;
#[cfg(test)]
mod tests;

use crate::place::{Capacity, Load};
use fair::Fair;
use model::{FunctionArn, Timestamp, limits};
use pace::{Pace, Ticks};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::queue::Throttled;
use store::rules::Reservations;
use tokio::time::Instant;

/// How many functions are passed over for one behind them that fits into the memory that is left.
const PASSED_OVER: usize = 8;

/// One whose next event has waited for so long is passed over no more, so that a large one gets its room.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many durable events of a function are taken from the store at a time.
const CLAIMED: usize = 16;

/// What a turn is taken to cost until the first one has ended, and at the least, in microseconds.
const COST: (u64, u64) = (10_000, 200);

/// What waits and what runs; `C` is a call, `E` a durable event.
#[derive(Debug)]
pub struct Turns<C, E> {
    capacity: Capacity,
    /// How long a call waits for room.
    patience: Duration,
    reserved: Arc<Reservations>,
    load: Load,
    pace: Pace,
    functions: HashMap<FunctionArn, Share<C, E>>,
    /// How many events run, by function without its qualifier.
    running: HashMap<FunctionArn, usize>,
    calls: Classes,
    events: Classes,
    /// Functions with calls that wait, by the time at which the first of them gives up.
    deadlines: BTreeSet<(Instant, FunctionArn)>,
    /// How many calls wait.
    waiting: usize,
    /// Functions with events that are due later.
    timers: BTreeSet<(Timestamp, FunctionArn)>,
    /// How many durable events wait here.
    claimed: usize,
    /// Durable events had no turn though there was room for calls.
    held_back: bool,
    /// What ran last was a durable event.
    last_background: bool,
}

/// The functions of a lane: those with a reservation, which nobody else can take, and the others.
#[derive(Debug, Default)]
struct Classes {
    reserved: Fair,
    others: Fair,
    /// Which of the two was served last.
    last_reserved: bool,
}

impl Classes {
    fn of(&mut self, reserved: bool) -> &mut Fair {
        if reserved { &mut self.reserved } else { &mut self.others }
    }

    fn leave(&mut self, function: &FunctionArn) {
        self.reserved.leave(function);
        self.others.leave(function);
    }

    fn correct(&mut self, function: &FunctionArn, charged: u64, actual: u64) {
        self.reserved.correct(function, charged, actual);
        self.others.correct(function, charged, actual);
    }
}

/// What is known of one function.
#[derive(Debug)]
struct Share<C, E> {
    /// Calls that wait, the oldest first.
    calls: VecDeque<Call<C>>,
    /// Durable events that were taken from the store.
    events: VecDeque<E>,
    /// When its next durable event is due that is not here.
    due: Option<Timestamp>,
    /// Whether the store may have some of its events that are due.
    more: bool,
    /// Since when its next durable event could run.
    since: Option<Instant>,
    /// How many of its events run.
    running: usize,
    /// What a turn of it costs, in microseconds.
    cost: u64,
}

impl<C, E> Share<C, E> {
    fn is_idle(&self) -> bool {
        let waits = !self.calls.is_empty() || !self.events.is_empty() || self.more || self.due.is_some();
        self.running == 0 && !waits
    }
}

#[derive(Debug)]
struct Call<C> {
    call: C,
    memory_mb: u32,
    since: Instant,
}

/// What has its turn.
#[derive(Debug)]
pub enum Turn<C, E> {
    /// This call runs.
    Call(C, Entry),
    /// This durable event runs.
    Event(E, Entry),
    /// So many durable events of this function at the most shall be taken from the store; see [`Turns::claimed`].
    Claim(FunctionArn, usize),
}

/// What has to be told when an event has ended.
#[derive(Clone, Debug)]
pub struct Entry {
    function: FunctionArn,
    memory_mb: u32,
    background: bool,
    unreserved: bool,
    charged: u64,
    since: Instant,
}

impl Entry {
    /// Whose event it is.
    pub fn function(&self) -> &FunctionArn {
        &self.function
    }
}

/// What must be known of a function to give one of its durable events a turn.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its memory.
    pub memory_mb: u32,
    /// Whether a process has to be started first.
    pub start: bool,
}

impl<C, E> Turns<C, E> {
    /// Nothing waits; calls will wait for `patience` at the most.
    pub fn new(capacity: Capacity, patience: Duration) -> Self {
        Turns {
            capacity,
            patience,
            reserved: Arc::default(),
            load: Load::default(),
            pace: Pace::new(capacity.background, capacity.running),
            functions: HashMap::new(),
            running: HashMap::new(),
            calls: Classes::default(),
            events: Classes::default(),
            deadlines: BTreeSet::new(),
            waiting: 0,
            timers: BTreeSet::new(),
            claimed: 0,
            held_back: false,
            last_background: false,
        }
    }

    /// What runs.
    pub fn load(&self) -> Load {
        self.load
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Looks at how busy the processors are.
    pub fn adjust(&mut self, now: Instant, ticks: Option<Ticks>) {
        let held = std::mem::take(&mut self.held_back);
        self.pace.adjust(now, ticks, held);
    }

    /// Whether anything that nobody waits for would run if the processors were idle.
    pub fn holds_back(&self) -> bool {
        self.held_back
    }

    /// What is reserved from now on.
    pub fn reserve(&mut self, reserved: Arc<Reservations>) {
        if Arc::ptr_eq(&reserved, &self.reserved) {
            return;
        }
        self.reserved = reserved;
        // Functions change between the classes, and those at their limit may be below it now.
        let mut known: Vec<FunctionArn> = self.functions.keys().cloned().collect();
        known.sort_unstable();
        for function in known {
            self.calls.leave(&function);
            self.events.leave(&function);
            self.rejoin(&function);
        }
    }

    /// An event has its process.
    pub fn started(&mut self) {
        self.load.starting = self.load.starting.saturating_sub(1);
    }

    /// An event has ended.
    pub fn ended(&mut self, entry: &Entry, now: Instant) {
        let function = &entry.function;
        self.load.memory_mb -= u64::from(entry.memory_mb);
        self.load.running -= 1;
        self.load.unreserved -= usize::from(entry.unreserved);
        self.load.background -= usize::from(entry.background);
        let owner = function.unqualified();
        let mut at_limit = false;
        if let Some(running) = self.running.get_mut(&owner) {
            at_limit = self.reserved.get(&owner).is_some_and(|reserved| *running >= reserved);
            *running -= 1;
            if *running == 0 {
                self.running.remove(&owner);
            }
        }
        let took = u64::try_from(now.duration_since(entry.since).as_micros()).unwrap_or(u64::MAX).max(COST.1);
        let lane = if entry.background { &mut self.events } else { &mut self.calls };
        lane.correct(function, entry.charged, took);
        if let Some(share) = self.functions.get_mut(function) {
            share.running -= 1;
            share.cost = (share.cost.saturating_mul(7).saturating_add(took)) / 8;
        }
        if at_limit {
            // It may have been left out at its limit, under any of its names.
            let names: Vec<FunctionArn> =
                self.functions.keys().filter(|name| name.unqualified() == owner).cloned().collect();
            names.iter().for_each(|name| self.rejoin(name));
        }
        self.forget(function);
    }

    /// What has its turn now, if there is room for it. `facts` tells of a function; nothing for one that is gone or whose
    /// events are only to be settled.
    pub fn next(
        &mut self,
        now: Instant,
        wall: Timestamp,
        facts: impl Fn(&FunctionArn) -> Option<Facts>,
    ) -> Option<Turn<C, E>> {
        self.ring(now, wall);
        // Somebody waits for a call, so it comes first; but some of the rest always runs.
        if self.load.background == 0
            && !self.last_background
            && let Some(turn) = self.next_event(now, &facts)
        {
            return Some(turn);
        }
        match self.next_call(now) {
            Some(turn) => Some(turn),
            None => self.next_event(now, &facts),
        }
    }

    /// When to look again though nothing else happens.
    pub fn wake(&self) -> (Option<Instant>, Option<Timestamp>) {
        (self.deadlines.first().map(|(at, _)| *at), self.timers.first().map(|(due, _)| *due))
    }

    fn share(&mut self, function: &FunctionArn) -> &mut Share<C, E> {
        self.functions.entry(function.clone()).or_insert_with(|| Share {
            calls: VecDeque::new(),
            events: VecDeque::new(),
            due: None,
            more: false,
            since: None,
            running: 0,
            cost: COST.0,
        })
    }

    /// How many more events of `function` may run, its memory aside.
    fn has_place(&self, function: &FunctionArn) -> bool {
        let owner = function.unqualified();
        let running = self.running.get(&owner).copied().unwrap_or(0);
        self.capacity.has_place(&self.load, running, self.reserved.get(&owner), self.reserved.sum())
    }

    /// Whether as many events of `function` run as are reserved for it: it waits for one of its own to end.
    fn is_at_own_limit(&self, function: &FunctionArn) -> bool {
        let owner = function.unqualified();
        let running = self.running.get(&owner).copied().unwrap_or(0);
        self.reserved.get(&owner).is_some_and(|reserved| running >= reserved)
    }

    fn is_reserved(&self, function: &FunctionArn) -> bool {
        self.reserved.get(&function.unqualified()).is_some()
    }

    /// Counts an event of `function` in.
    fn enter(&mut self, function: &FunctionArn, memory_mb: u32, background: bool, now: Instant) -> Entry {
        let reserved = self.is_reserved(function);
        self.load.memory_mb += u64::from(memory_mb);
        self.load.running += 1;
        self.load.unreserved += usize::from(!reserved);
        self.load.background += usize::from(background);
        self.load.starting += 1;
        self.last_background = background;
        *self.running.entry(function.unqualified()).or_default() += 1;
        let share = self.share(function);
        share.running += 1;
        let charged = share.cost;
        let lane = if background { &mut self.events } else { &mut self.calls };
        lane.last_reserved = reserved;
        lane.of(reserved).charge(function, charged);
        Entry {
            function: function.clone(),
            memory_mb,
            background,
            unreserved: !reserved,
            charged,
            since: now,
        }
    }

    /// Lets `function` wait for turns in the lanes in which it has something.
    fn rejoin(&mut self, function: &FunctionArn) {
        let reserved = self.is_reserved(function);
        let Some(share) = self.functions.get(function) else { return };
        if !share.calls.is_empty() {
            self.calls.of(reserved).join(function);
        }
        if share.more || !share.events.is_empty() {
            self.events.of(reserved).join(function);
        }
    }

    /// Forgets a function of which nothing waits or runs, when many are known.
    fn forget(&mut self, function: &FunctionArn) {
        if self.functions.len() > limits::EVENTS_CLAIMED
            && self.functions.get(function).is_some_and(Share::is_idle)
        {
            self.functions.remove(function);
        }
    }

    /// The first functions of a lane, those of the class first that was not served last.
    fn candidates(classes: &Classes) -> Vec<FunctionArn> {
        let some = |fair: &Fair| fair.in_turn().take(PASSED_OVER).cloned().collect::<Vec<_>>();
        let (mut first, second) = match classes.last_reserved {
            true => (some(&classes.others), some(&classes.reserved)),
            false => (some(&classes.reserved), some(&classes.others)),
        };
        first.extend(second);
        first
    }
}
