//! Lets go of what waits for nobody any more, and keeps what functions ask to have ready.

use super::{Ahead, Table, budget};
use model::FunctionArn;
use std::time::Duration;
use store::kv::{FLOORS, From};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often it is looked what may go, while anything waits.
const EVERY: Duration = Duration::from_secs(1);

/// How many functions with a floor are read at a time.
const PAGE: usize = 1_000;

impl Ahead {
    /// Sweeps now and then, while there is anything, until `stop` becomes true.
    pub(crate) async fn sweep_until(&self, mut stop: watch::Receiver<bool>) {
        let mut changes = self.0.store.specs_changed();
        changes.mark_changed();
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                self.follow_changes();
            }
            self.sweep();
            let something = !self.table().pools.is_empty();
            // Changes are followed no more often than the clock ticks.
            let tick = async {
                match something {
                    true => {
                        tokio::time::sleep(EVERY.min(self.0.bounds.idle.max(Duration::from_millis(50)))).await
                    }
                    false => {
                        tokio::select! {
                            () = self.0.begun.notified() => {}
                            _ = changes.changed() => changes.mark_changed(),
                        }
                    }
                }
            };
            tokio::select! {
                () = tick => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.close();
    }

    /// Lets go of what waits for code or configuration that a function does not have any more, and makes what functions
    /// ask to have ready.
    fn follow_changes(&self) {
        let known: Vec<_> = {
            let table = self.table();
            table.pools.iter().map(|(arn, pool)| (arn.clone(), pool.spec.clone())).collect()
        };
        let mut gone = Vec::new();
        for (arn, spec) in known {
            match self.0.store.spec(&arn) {
                Ok(now) if now.as_ref().is_some_and(|now| super::is_same(now, &spec)) => {}
                Ok(_) => gone.extend(self.table().pools.remove(&arn)),
                Err(error) => tracing::error!(%error, "cannot read a function"),
            }
        }
        for pool in gone {
            self.0.store.starts().set(&pool.spec.arn, None);
        }
        let mut last = Vec::new();
        loop {
            let page = match self.0.store.read(|view| view.scan(&FLOORS, &[], From::After(&last), PAGE)) {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "cannot read which functions have processes ready at all times");
                    return;
                }
            };
            let Some((key, _)) = page.last() else { return };
            last = key.clone();
            for (_, floor) in page {
                if let Ok(Some(spec)) = self.0.store.spec(&floor.function) {
                    self.with(&spec, Instant::now(), |_| {});
                }
            }
        }
    }

    /// Lets go of what is idle, too many, or too much, and makes what is lacking.
    fn sweep(&self) {
        let mut table = self.table();
        let (now, bounds) = (Instant::now(), self.0.bounds);
        let functions: Vec<FunctionArn> = table.pools.keys().cloned().collect();
        let mut gone = Vec::new();
        for arn in &functions {
            let taken = super::make::taken(&table, arn, now);
            let Some(pool) = table.pools.get_mut(arn) else { continue };
            if pool.spec.ahead == 0 && pool.making == 0 && pool.is_idle(now, bounds.idle) {
                gone.extend(table.pools.remove(arn));
                continue;
            }
            let target = pool.target(now, &bounds, taken);
            pool.shrink(now, &bounds, target);
        }
        gone.extend(make_room(&mut table, bounds.memory, now));
        for arn in &functions {
            self.feed(&mut table, arn, now);
        }
        let asking = table.pools.iter().filter(|(_, pool)| pool.spec.ahead > 0);
        let ready = asking.map(|(arn, pool)| (arn.clone(), pool.held.len() + pool.running)).collect();
        self.0.store.starts().set_ready(ready);
        drop(table);
        // Processes end outside the lock.
        for pool in gone {
            self.0.store.starts().set(&pool.spec.arn, None);
        }
    }
}

/// Takes out the least recently used until the rest fits.
fn make_room(table: &mut Table, memory: u64, now: Instant) -> Vec<super::Pool> {
    let (functions, holdings): (Vec<FunctionArn>, Vec<budget::Holding>) =
        table.pools.iter().map(|(arn, pool)| (arn.clone(), pool.holding(now))).unzip();
    let excess = budget::excess(&holdings, memory);
    let idle = excess.into_iter().map(|index| &functions[index]);
    idle.filter_map(|arn| match table.pools.get(arn) {
        Some(pool) if pool.running == 0 && pool.making == 0 => table.pools.remove(arn),
        _ => None,
    })
    .collect()
}
