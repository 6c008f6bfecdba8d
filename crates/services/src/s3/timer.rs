//! When what a clock brings about is next to be done: rows in the store, so that a stop neither forgets nor repeats it.

use super::error::Result;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::kv::{From as Start, Stored, Table};
use store::{Tx, View};

/// What is to be done, in the order of time, by [`place`].
const TIMERS: Table<Timer> = Table::new("s3.timer");

/// When it is, by its name: the place of its row in [`TIMERS`].
const DUE: Table<Due> = Table::new("s3.timer.due");

#[derive(Serialize, Deserialize)]
struct Timer(String);

#[derive(Serialize, Deserialize)]
struct Due(Timestamp);

impl Stored for Timer {}
impl Stored for Due {}

fn place(due: Timestamp, name: &str) -> Vec<u8> {
    // Times before 1970 come first, if a clock is that wrong.
    let mut place = ((due.0 as u64) ^ (1 << 63)).to_be_bytes().to_vec();
    place.extend_from_slice(name.as_bytes());
    place
}

/// Has `name` done at `due`, whenever it was to be done before.
pub(super) fn set(tx: &Tx<'_>, name: &str, due: Timestamp) -> Result<()> {
    unset(tx, name)?;
    tx.put(&TIMERS, place(due, name), &Timer(name.to_owned()))?;
    tx.put(&DUE, name, &Due(due))?;
    Ok(())
}

/// Has `name` done no more.
pub(super) fn unset(tx: &Tx<'_>, name: &str) -> Result<()> {
    if let Some(Due(due)) = tx.get(&DUE, name)? {
        tx.delete(&TIMERS, place(due, name))?;
        tx.delete(&DUE, name)?;
    }
    Ok(())
}

/// Whether `name` is ever to be done.
pub(super) fn is_set(view: &View<'_>, name: &str) -> Result<bool> {
    Ok(view.get(&DUE, name)?.is_some())
}

/// What is to be done first, and how long that is yet. Nothing waits longer than `longest`: what is due later than that was
/// set before the clock was set back.
pub(super) fn first(view: &View<'_>, longest: Duration) -> Result<Option<(String, Duration)>> {
    let Some((key, Timer(name))) = view.scan(&TIMERS, b"", Start::At(b""), 1)?.into_iter().next() else {
        return Ok(None);
    };
    let bytes = key.get(..8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    let due = Timestamp((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64);
    let wait =
        u64::try_from(due.0.saturating_sub(view.now().0)).map_or(Duration::ZERO, Duration::from_millis);
    Ok(Some((name, if wait > longest { Duration::ZERO } else { wait })))
}

#[cfg(test)]
mod tests {
    use super::super::error::Error;
    use super::super::testing::Bench;
    use super::*;

    #[tokio::test]
    async fn the_first_is_found_and_the_clock_may_be_set_back() {
        let bench = Bench::new().await;
        let (now, hour) = (bench.store.now(), Duration::from_secs(3_600));
        let later = now.after(hour / 2);
        bench
            .store
            .write(move |tx| {
                set(tx, "late", later)?;
                set(tx, "soon", now)?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let first = || bench.store.read(|view| first(view, hour)).unwrap();
        assert_eq!(first().unwrap(), ("soon".to_owned(), Duration::ZERO));
        bench.store.write(move |tx| set(tx, "soon", later.after(hour))).await.unwrap();
        let (name, wait) = first().unwrap();
        assert!(name == "late" && wait > hour / 4 && wait <= hour / 2, "{wait:?}");
        bench.store.write(|tx| unset(tx, "late")).await.unwrap();
        assert_eq!(first().unwrap(), ("soon".to_owned(), Duration::ZERO), "further away than ever set");
        bench.store.write(|tx| unset(tx, "soon")).await.unwrap();
        assert_eq!(first(), None);
    }
}
