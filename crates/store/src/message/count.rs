//! How many messages a queue has.

use super::Queue;
use crate::Result;
use crate::engine::{Tx, View};
use rusqlite::params;

/// How many messages a queue has, by what can be done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that can be received.
    pub visible: u64,
    /// Those that were received and not deleted yet.
    pub in_flight: u64,
    /// Those that wait for their delay.
    pub delayed: u64,
}

impl View<'_> {
    /// How many messages `queue` has. Only those that cannot be received are looked at one by one.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn counts(&self, queue: &Queue) -> Result<Counts> {
        let now = self.now().0;
        let one = |sql: &str, bound: i64| -> Result<(i64, i64)> {
            let mut statement = self.connection().prepare_cached(sql)?;
            Ok(statement.query_row(params![queue.bin, bound], |row| Ok((row.get(0)?, row.get(1)?)))?)
        };
        let (total, _) = one("SELECT total, 0 FROM bin WHERE id = ?1 AND ?2 = 0", 0)?;
        let (in_flight, hidden) = one(
            "SELECT coalesce(sum(received > 0), 0), count(*) FROM message WHERE bin = ?1 AND visible > ?2",
            now,
        )?;
        let expired = now - i64::from(queue.settings.retention) * 1000;
        let (expired, _) = one("SELECT count(*), 0 FROM message WHERE bin = ?1 AND sent <= ?2", expired)?;
        let natural = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Counts {
            visible: natural(total - hidden - expired),
            in_flight: natural(in_flight),
            delayed: natural(hidden - in_flight),
        })
    }
}

impl Tx<'_> {
    /// A number of messages in flight that is exact when it matters: when it would reach `limit`.
    pub(super) fn in_flight_at_most(&self, queue: &Queue, limit: usize) -> Result<usize> {
        let guessed = self.arrivals().in_flight(queue.bin);
        match guessed {
            Some(guessed) if guessed < limit => Ok(guessed),
            _ => {
                let counted = usize::try_from(self.counts(queue)?.in_flight).unwrap_or(usize::MAX);
                self.arrivals().set_in_flight(queue.bin, counted);
                Ok(counted)
            }
        }
    }

    pub(super) fn took(&self, bin: i64, messages: usize) {
        self.arrivals().add_in_flight(bin, messages);
    }

    /// One message of `bin` is in flight no more.
    pub(super) fn landed(&self, bin: i64) {
        self.arrivals().one_less_in_flight(bin);
    }
}
