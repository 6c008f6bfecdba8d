//! Makes what should wait: templates, their copies, and processes that are started ahead.

use super::decide::Step;
use super::pool::{Original, Pool};
use super::watched::Watched;
use super::{Ahead, Table, reap};
use crate::runner::{Captured, Copier, Process, Template};
use model::{FunctionArn, FunctionSpec};
use sandbox::{Function, Line, Platform};
use std::sync::Arc;
use std::time::Duration;
use store::log::Record;
use tokio::time::Instant;

/// What a task makes.
enum Work {
    Template,
    Copy(Arc<dyn Copier>),
    Start,
}

/// What came of it.
type Made<T> = Result<T, String>;

impl Ahead {
    /// Makes what this function lacks, as soon as there is room among what is being made.
    pub(super) fn feed(&self, table: &mut Table, arn: &FunctionArn, now: Instant) {
        if !table.hungry.contains(arn) {
            table.hungry.push_back(arn.clone());
        }
        self.pump(table, now);
    }

    /// Starts making, one for each function in turn, while there is room.
    fn pump(&self, table: &mut Table, now: Instant) {
        while table.making < self.0.bounds.making && !table.closed {
            let Some(arn) = table.hungry.pop_front() else { return };
            let taken = taken(table, &arn, now);
            let Some(pool) = table.pools.get_mut(&arn) else { continue };
            let (work, more) = match (pool.step(now, &self.0.bounds, taken), &pool.original) {
                (Step::Template, _) => (Work::Template, false),
                (Step::Copies(count), Original::Captured { copier, .. }) => {
                    (Work::Copy(Arc::clone(copier)), count > 1)
                }
                (Step::Starts(count), _) => (Work::Start, count > 1),
                _ => continue,
            };
            match work {
                Work::Template => pool.original = Original::Starting,
                _ => pool.making += 1,
            }
            let spec = Arc::clone(&pool.spec);
            let making = Making {
                ahead: self.clone(),
                arn: arn.clone(),
                id: pool.id,
                is_process: !matches!(work, Work::Template),
            };
            table.making += 1;
            reap(&mut table.tasks);
            table.tasks.spawn(make(making, work, spec));
            if more {
                table.hungry.push_back(arn);
            }
        }
    }

    /// What a process of this function needs, beside an event.
    pub(crate) fn function(&self, spec: &Arc<FunctionSpec>) -> Function {
        Function {
            spec: Arc::clone(spec),
            code_dir: self.0.store.packages().dir(&spec.code),
            layers_dir: spec.layers.as_ref().map(|layers| self.0.store.packages().dir(layers)),
            environment: Arc::clone(&self.0.environment),
        }
    }

    /// What serves the platform to a process of this function.
    pub(crate) fn platform(&self, spec: &Arc<FunctionSpec>) -> Platform {
        let (serve, spec) = (Arc::clone(&self.0.inside), Arc::clone(spec));
        Box::new(move |listener| Box::new(serve(&spec.arn, listener)))
    }

    /// Takes in a process that was made for the pool `id`.
    fn take_in(&self, making: &Making, took: Duration, made: Made<Box<dyn Process>>) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(pool) = making.pool(&mut table) else { return };
        match made {
            Ok(process) => {
                let memory = pool.memory_of(process.memory());
                pool.made(took, memory);
                self.publish(pool);
                if let Some(process) = pool.offer(process) {
                    self.hold(&mut table, &making.arn, process, now);
                }
            }
            Err(reason) => {
                tracing::debug!(function = %making.arn, reason, "a process could not be made ahead");
                pool.failed(now, reason);
                self.publish(pool);
            }
        }
    }

    /// Takes in what came of making a template.
    fn take_in_template(&self, making: &Making, made: Made<Captured>) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(pool) = making.pool(&mut table) else { return };
        match made {
            Ok(Captured::Template(template)) => self.capture(&mut table, making, template),
            Ok(Captured::Refused { reason, process: Some(process) }) => {
                self.tell(&pool.spec, vec![note(self, format!("This function is not cloned: {reason}"))]);
                pool.refused(reason);
                self.publish(pool);
                if let Some(process) = pool.offer(process) {
                    self.hold(&mut table, &making.arn, process, now);
                }
            }
            Ok(Captured::Refused { reason, process: None }) | Err(reason) => {
                tracing::debug!(function = %making.arn, reason, "a template could not be made");
                pool.failed(now, reason);
                self.publish(pool);
            }
        }
    }

    fn capture(&self, table: &mut Table, making: &Making, mut template: Box<dyn Template>) {
        let Some(pool) = making.pool(table) else { return };
        let (copier, memory, printed) =
            (template.copier(), pool.memory_of(template.memory()), template.printed());
        if !printed.is_empty() {
            let mut lines =
                vec![note(self, "Printed while the function was initialised to be cloned:".to_owned())];
            lines.extend(printed);
            self.tell(&pool.spec, lines);
        }
        let (ahead, arn, id) = (self.clone(), making.arn.clone(), making.id);
        let lost = move |reason| ahead.template_lost(&arn, id, reason);
        let template = Watched::new(template, |template, cx| template.poll_wait(cx), &mut table.tasks, lost);
        if let Some(pool) = making.pool(table) {
            pool.original = Original::Captured { copier, template, memory };
            pool.reason = None;
            self.publish(pool);
        }
    }

    /// A template has died: another one is made, later if that happens again and again.
    fn template_lost(&self, arn: &FunctionArn, id: u64, reason: String) {
        tracing::debug!(function = %arn, reason, "a template has died");
        let mut table = self.table();
        if let Some(pool) = table.pools.get_mut(arn).filter(|pool| pool.id == id) {
            pool.original = Original::Absent;
            pool.reason = Some(reason.clone());
            pool.failed(Instant::now(), reason);
            self.publish(pool);
        }
    }

    /// Tells what is known of a function's copies.
    fn publish(&self, pool: &Pool) {
        self.0.store.starts().set(&pool.spec.arn, pool.copies());
    }

    /// Adds lines to a function's log that belong to no event.
    fn tell(&self, spec: &Arc<FunctionSpec>, lines: Vec<Line>) {
        let record =
            |line: Line| Record { seq: 0, time: line.time, request_id: String::new(), message: line.text };
        let records: Vec<Record> = lines.into_iter().map(record).collect();
        let (store, spec) = (self.0.store.clone(), Arc::clone(spec));
        tokio::spawn(async move {
            let written: store::Result<()> =
                store.write(move |tx| tx.append_log(&spec.arn.log_name(), &records)).await;
            if let Err(error) = written {
                tracing::error!(%error, "a function's log lines are lost");
            }
        });
    }
}

fn note(ahead: &Ahead, text: String) -> Line {
    Line { time: ahead.0.store.now(), text, platform: true }
}

/// The memory that is not this function's to take: what others hold that were used lately.
pub(super) fn taken(table: &Table, arn: &FunctionArn, now: Instant) -> u64 {
    const LATELY: Duration = Duration::from_secs(1);
    let others = table.pools.iter().filter(|(other, _)| *other != arn).map(|(_, pool)| pool.holding(now));
    others
        .filter(|holding| now.saturating_duration_since(holding.used) < LATELY)
        .map(|holding| holding.memory)
        .sum()
}

/// One that is being made. However its making ends, there is room for the next one: its task may also be cut off.
struct Making {
    ahead: Ahead,
    arn: FunctionArn,
    id: u64,
    is_process: bool,
}

impl Making {
    /// The pool that it is made for, if the function has not changed meanwhile.
    fn pool<'a>(&self, table: &'a mut Table) -> Option<&'a mut Pool> {
        table.pools.get_mut(&self.arn).filter(|pool| pool.id == self.id)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut table = self.ahead.table();
        table.making -= 1;
        let now = Instant::now();
        if let Some(pool) = self.pool(&mut table) {
            if self.is_process {
                pool.making -= 1;
            } else if matches!(pool.original, Original::Starting) {
                pool.failed(now, "the platform failed".to_owned());
            }
        }
    }
}

async fn make(making: Making, work: Work, spec: Arc<FunctionSpec>) {
    let (ahead, arn, began) = (making.ahead.clone(), making.arn.clone(), Instant::now());
    let (function, platform) = (ahead.function(&spec), ahead.platform(&spec));
    let runner = &ahead.0.runner;
    match work {
        Work::Template => {
            let made = Arc::clone(runner).template(&function, platform).await;
            ahead.take_in_template(&making, made.map_err(|error| fault(&spec, &error)));
        }
        Work::Copy(copier) => {
            let made = copier.copy(platform).await;
            let made = made.unwrap_or_else(|error| Err(fault(&spec, &error)));
            ahead.take_in(&making, began.elapsed(), made);
        }
        Work::Start => {
            let made = runner.prepare(&function, platform).await;
            let made = made.unwrap_or_else(|error| Err(fault(&spec, &error)));
            ahead.take_in(&making, began.elapsed(), made);
        }
    }
    drop(making);
    ahead.feed(&mut ahead.table(), &arn, Instant::now());
}

/// What a fault of the platform's means for the function; the log of the server has the rest. An event meets the same
/// fault, and tells it.
fn fault(spec: &FunctionSpec, error: &sandbox::Error) -> String {
    tracing::debug!(function = %spec.arn, %error, "nothing could be made ahead");
    error.to_string()
}
