//! One simulated server, driven by a seed.

use crate::random::Random;
use crate::shelf::Shelf;
use bytes::Bytes;
use model::{Event, FunctionArn, FunctionError, Outcome, RequestId, Source, Timestamp, limits};
use scheduler::destination::{Follow, Wishes};
use scheduler::settle::{self, Ran};
use scheduler::turns::{Entry, Facts, Turn, Turns};
use scheduler::{Capacity, Ticks};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::rules::{EventRules, Reservations};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// How many steps the world takes before it is left alone to come to rest.
const STEPS: u64 = 400;

fn wishes(rules: &EventRules) -> Wishes<'_> {
    Wishes { rules, dead_letter: None }
}

/// What happens later.
enum Later {
    /// The wake-up after a commit.
    Due(FunctionArn, Timestamp),
    /// A run ends.
    Ends(u64),
}

/// What runs.
struct Running {
    entry: Entry,
    function: FunctionArn,
    memory_mb: u64,
    event: Option<Event>,
}

pub(crate) struct World {
    random: Random,
    /// Real time since the world began, and what the wall clock shows beyond that.
    elapsed: Duration,
    begin: Instant,
    wall: i64,
    capacity: Capacity,
    functions: Vec<FunctionArn>,
    memory: Vec<u32>,
    rules: HashMap<FunctionArn, Arc<EventRules>>,
    reserved: Arc<Reservations>,
    // What a crash does not harm.
    shelf: Shelf,
    accepted: HashSet<RequestId>,
    settled: HashSet<RequestId>,
    // What it does.
    turns: Turns<u64, Event>,
    running: BTreeMap<u64, Running>,
    later: BTreeMap<(Duration, u64), Later>,
    calls: BTreeSet<u64>,
    asked: HashMap<u64, Duration>,
    numbers: u64,
    history: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = if seed.is_multiple_of(100) { 2_000 } else { 1 + random.below(12) };
        let functions: Vec<_> = (0..count).map(|n| FunctionArn::of(&format!("f{n}"))).collect();
        let memory = functions.iter().map(|_| [128, 256, 1_024, 10_240][random.below(4) as usize]).collect();
        let capacity = Capacity {
            memory_mb: 1_024 + random.below(20_000),
            running: 1 + random.below(40) as usize,
            starting: 1 + random.below(4) as usize,
            background: 1 + random.below(4) as usize,
        };
        let mut rules = HashMap::new();
        for (at, function) in functions.iter().enumerate() {
            let to = |random: &mut Random| {
                let next = functions[(at + 1) % functions.len()].to_string();
                (functions.len() > 1 && random.percent(15)).then_some(next)
            };
            let rules_of = EventRules {
                retries: random.percent(50).then(|| random.below(3) as u32),
                max_age_s: random.percent(20).then_some(60),
                on_success: to(&mut random),
                on_failure: to(&mut random),
                modified: 0,
            };
            rules.insert(function.clone(), Arc::new(rules_of));
        }
        World {
            random,
            elapsed: Duration::ZERO,
            begin: Instant::now(),
            wall: 1_000_000_000,
            capacity,
            functions,
            memory,
            rules,
            reserved: Arc::default(),
            shelf: Shelf::default(),
            accepted: HashSet::new(),
            settled: HashSet::new(),
            turns: Turns::new(capacity, PATIENCE),
            running: BTreeMap::new(),
            later: BTreeMap::new(),
            calls: BTreeSet::new(),
            asked: HashMap::new(),
            numbers: 0,
            history: Vec::new(),
        }
    }

    pub(crate) fn history(self) -> Vec<String> {
        self.history
    }

    /// Lives, comes to rest, and looks whether all is well; how many steps that took.
    pub(crate) fn run(&mut self) -> u64 {
        for _ in 0..STEPS {
            self.step();
        }
        // Nothing is turned off any more, nothing comes in: all that was accepted comes to its end.
        self.reserved = Arc::default();
        self.turns.reserve(self.reserved.clone());
        let mut steps = STEPS;
        while self.shelf.len() > 0 || !self.calls.is_empty() || !self.running.is_empty() {
            steps += 1;
            assert!(steps < 400_000, "starved: {} events, {} calls", self.shelf.len(), self.calls.len());
            self.pass();
            self.turn();
        }
        assert_eq!(self.accepted, self.settled, "something is lost");
        assert_eq!(self.turns.load(), scheduler::Load::default());
        steps
    }

    fn now(&self) -> Instant {
        self.begin + self.elapsed
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.wall + i64::try_from(self.elapsed.as_millis()).unwrap())
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn tell(&mut self, what: String) {
        self.history.push(what);
    }

    fn at(&mut self, after_ms: u64, what: Later) {
        let key = (self.elapsed + Duration::from_millis(after_ms), self.number());
        self.later.insert(key, what);
    }

    /// A wake-up comes soon, or late, or twice.
    fn wake(&mut self, function: &FunctionArn, due: Timestamp) {
        for _ in 0..1 + u64::from(self.random.percent(10)) {
            let delay = if self.random.percent(10) { self.random.below(300) } else { 0 };
            self.at(delay, Later::Due(function.clone(), due));
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=24 => self.submit(),
            25..=44 => self.call(),
            45..=79 => self.pass(),
            80..=81 => self.reserve(),
            82 => self.crash(),
            83 => self.jump(),
            84 => self.give_up_old(),
            _ => self.look_at_processors(),
        }
        self.turn();
    }

    fn any(&mut self) -> usize {
        // Some functions have most of the events.
        let count = self.functions.len() as u64;
        let some = if self.random.percent(70) { count.min(2) } else { count };
        self.random.below(some) as usize
    }

    fn submit(&mut self) {
        let at = self.any();
        let function = self.functions[at].clone();
        let most = if self.random.percent(5) { 100 } else { 3 };
        for _ in 0..1 + self.random.below(most) {
            let mut event = Event::new(function.clone(), Source::InvokeAsync, self.wall(), Bytes::from("{}"));
            event.id = self.id();
            self.shelf.submit(&event);
            self.accepted.insert(event.id);
        }
        self.wake(&function, self.wall());
    }

    /// An id that the seed decides.
    fn id(&mut self) -> RequestId {
        let number = self.number();
        serde_json::from_value(serde_json::json!(format!("00000000-0000-7000-8000-{number:012x}"))).unwrap()
    }

    fn call(&mut self) {
        let at = self.any();
        let (function, call) = (self.functions[at].clone(), self.number());
        match self.turns.call(&function, self.memory[at], call, self.now()) {
            Ok(()) => {
                self.calls.insert(call);
                self.asked.insert(call, self.elapsed);
            }
            Err((_, why)) => self.tell(format!("{call} refused {why:?}")),
        }
    }

    fn reserve(&mut self) {
        let mut reserved = Vec::new();
        let mut left = self.capacity.running / 2;
        for at in 0..self.functions.len().min(4) {
            if self.random.percent(30) {
                let some = self.random.below(left as u64 + 1) as usize;
                left -= some;
                reserved.push((self.functions[at].clone(), some));
            }
        }
        self.reserved = Arc::new(Reservations::of(reserved));
        self.turns.reserve(self.reserved.clone());
    }

    fn look_at_processors(&mut self) {
        let idle = self.random.below(30);
        let all = u64::try_from(self.elapsed.as_millis()).unwrap();
        self.turns.adjust(self.now(), Some(Ticks { idle: all * idle / 100, all }));
    }

    /// The program ends at once and is started again.
    fn crash(&mut self) {
        self.tell("crash".into());
        self.shelf.crash();
        self.turns = Turns::new(self.capacity, PATIENCE);
        self.turns.reserve(self.reserved.clone());
        self.running.clear();
        self.later.clear();
        self.calls.clear();
        for (function, due) in self.shelf.backlog() {
            self.turns.due(&function, due);
        }
    }

    /// The wall clock is set, ahead or back.
    fn jump(&mut self) {
        let by = self.random.below(50_000);
        if self.random.percent(50) {
            self.wall += i64::try_from(by).unwrap();
            return;
        }
        self.wall -= i64::try_from(by).unwrap();
        if by >= 2_000 {
            let from = self.wall();
            self.shelf.set_back(from, Duration::from_millis(by));
            self.turns.forget_due();
            for (function, due) in self.shelf.backlog() {
                self.turns.due(&function, due);
            }
        }
    }

    /// Time passes until something happens.
    fn pass(&mut self) {
        let (deadline, due) = self.turns.wake();
        let mut wait = Duration::from_millis(1 + self.random.below(60));
        if let Some(due) = due {
            wait = wait.max(due.since(self.wall()).min(Duration::from_secs(1)));
        }
        if let Some(((at, _), _)) = self.later.first_key_value() {
            wait = wait.min(at.saturating_sub(self.elapsed));
        }
        if let Some(deadline) = deadline {
            wait = wait.min(deadline.saturating_duration_since(self.now()));
        }
        self.elapsed += wait;
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= self.elapsed) {
            match entry.remove() {
                Later::Due(function, due) => self.turns.due(&function, due),
                Later::Ends(run) => self.end(run),
            }
        }
        for (call, why) in self.turns.expired(self.now()) {
            self.calls.remove(&call);
            self.tell(format!("{call} throttled {why:?}"));
        }
        let late = self.elapsed.saturating_sub(PATIENCE + Duration::from_millis(1));
        for call in &self.calls {
            assert!(self.asked[call] >= late, "call {call} waits for longer than it may");
        }
    }

    /// Everything that has its turn begins.
    fn turn(&mut self) {
        loop {
            let (now, wall) = (self.now(), self.wall());
            let World { turns, functions, memory, reserved, rules, .. } = self;
            let facts = |function: &FunctionArn| {
                let at: usize = function.name()[1..].parse().unwrap();
                let off = reserved.get(function) == Some(0) && rules[function].on_failure.is_some();
                (!off && at < functions.len())
                    .then(|| Facts { memory_mb: memory[at], start: at.is_multiple_of(2) })
            };
            match turns.next(now, wall, facts) {
                None => return,
                Some(Turn::Claim(function, most)) => {
                    let (events, next) = self.shelf.claim(&function, wall, most);
                    self.turns.claimed(&function, events, next, now);
                }
                Some(Turn::Call(call, entry)) => {
                    assert!(self.calls.remove(&call), "call {call} runs twice");
                    self.begin(entry, None);
                }
                Some(Turn::Event(event, entry)) => self.event(event, entry),
            }
        }
    }

    fn event(&mut self, event: Event, entry: Entry) {
        let twice =
            self.running.values().any(|running| running.event.as_ref().is_some_and(|one| one.id == event.id));
        assert!(!twice, "{} runs twice at the same time", event.id);
        assert!(!self.settled.contains(&event.id), "{} runs though it is settled", event.id);
        let (rules, off) =
            (self.rules[&event.function].clone(), self.reserved.get(&event.function) == Some(0));
        match settle::refusal(&event, wishes(&rules), off, is_loop(&event), self.wall()) {
            Some((condition, error)) => {
                let settlement = settle::give_up(&event, condition, error, wishes(&rules), self.wall());
                self.turns.started();
                self.settle(&event, &settlement);
                self.turns.ended(&entry, self.now());
            }
            None => self.begin(entry, Some(event)),
        }
    }

    /// Something begins to run: it must have room.
    fn begin(&mut self, entry: Entry, event: Option<Event>) {
        let function = entry.function().clone();
        let at: usize = function.name()[1..].parse().unwrap();
        let memory_mb = u64::from(self.memory[at]);
        let of = self.running.values().filter(|running| running.function == function).count();
        if let Some(reserved) = self.reserved.get(&function) {
            assert!(of < reserved, "{function} runs more often than is reserved");
        }
        let memory: u64 = self.running.values().map(|running| running.memory_mb).sum();
        assert!(
            self.running.is_empty() || memory + memory_mb <= self.capacity.memory_mb,
            "more memory than there is"
        );
        let run = self.number();
        self.tell(format!("{run} {function}"));
        self.running.insert(run, Running { entry, function, memory_mb, event });
        assert!(self.running.len() <= self.capacity.running, "too many run");
        self.turns.started();
        let takes = if self.random.percent(5) { 2_000 } else { 1 + self.random.below(120) };
        self.at(takes, Later::Ends(run));
    }

    fn end(&mut self, run: u64) {
        let running = self.running.remove(&run).unwrap();
        if let Some(event) = &running.event {
            let outcome = match self.random.percent(30) {
                true => Outcome::Failed(FunctionError::of("E", "failed".into())),
                false => Outcome::Succeeded("1".into()),
            };
            let rules = self.rules[&event.function].clone();
            let ran = Ran { outcome: &outcome, version: "$LATEST" };
            let settlement = settle::decide(event, ran, wishes(&rules), self.wall(), RETRY);
            match self.random.below(40) {
                // The store could not be written: the event goes back.
                0 => {
                    self.shelf.release(event.id);
                    self.wake(&event.function.clone(), Timestamp(0));
                }
                // The program ends before, or after, what it wrote is on disk.
                1 => return self.crash(),
                2 => {
                    self.settle(event, &settlement);
                    return self.crash();
                }
                _ => self.settle(event, &settlement),
            }
        }
        self.turns.ended(&running.entry, self.now());
    }

    fn settle(&mut self, event: &Event, settlement: &settle::Settlement) {
        let mut settlement = settlement.clone();
        if let settle::Settlement::Done(follows) | settle::Settlement::GivenUp { follows, .. } =
            &mut settlement
        {
            for follow in follows {
                if let Follow::Event(next) = follow {
                    next.id = self.id();
                }
            }
        }
        let (follows, retried) = self.shelf.settle(event, &settlement);
        self.shelf.release(event.id);
        match retried {
            // The end of the lease wakes as well: until then the event could not be seen.
            Some(due) => {
                self.wake(&event.function, due);
                self.wake(&event.function, Timestamp(0));
            }
            None => assert!(self.settled.insert(event.id), "{} is settled twice", event.id),
        }
        for next in follows {
            let own = next.lineage.most();
            assert!(own <= limits::RECURSION + 1, "a loop goes on: {:?}", next.lineage);
            self.accepted.insert(next.id);
            self.wake(&next.function, next.accepted);
        }
    }

    /// Gives up what became too old while there was no room.
    fn give_up_old(&mut self) {
        for function in self.turns.backlogged() {
            let rules = self.rules[&function].clone();
            let age = i64::try_from(rules.max_age().as_millis()).unwrap();
            let (old, _) = self.shelf.claim(&function, Timestamp(self.wall().0 - age - 1), 32);
            for event in old {
                let off = self.reserved.get(&function) == Some(0);
                match settle::refusal(&event, wishes(&rules), off, is_loop(&event), self.wall()) {
                    Some((condition, error)) => {
                        let settlement =
                            settle::give_up(&event, condition, error, wishes(&rules), self.wall());
                        self.settle(&event, &settlement);
                    }
                    None => {
                        self.shelf.release(event.id);
                        self.wake(&function, Timestamp(0));
                    }
                }
            }
        }
    }
}

/// As the scheduler decides it, for functions whose loops are to end.
fn is_loop(event: &Event) -> bool {
    event.lineage.count(&event.function) >= limits::RECURSION
}
