//! Records that wait for one subscriber.

use super::subscription::Buffering;
use bytes::Bytes;
use model::limits::TELEMETRY_WAITING;
use std::collections::VecDeque;
use tokio::time::Instant;

/// What has been gathered and not been delivered.
#[derive(Debug)]
pub(super) struct Buffer {
    bounds: Buffering,
    records: VecDeque<Bytes>,
    bytes: usize,
    /// When the oldest of them came.
    since: Option<Instant>,
    /// What there is goes out now.
    hurried: bool,
    /// A batch is on its way.
    pub(super) delivering: bool,
    /// Records, and their bytes, for which there was no room.
    dropped: (u64, u64),
}

impl Buffer {
    pub(super) fn new(bounds: Buffering) -> Buffer {
        let records = VecDeque::new();
        Buffer { bounds, records, bytes: 0, since: None, hurried: false, delivering: false, dropped: (0, 0) }
    }

    /// Adds a record, if there is room.
    pub(super) fn add(&mut self, record: Bytes, now: Instant) {
        if self.bytes + record.len() > self.bounds.bytes + TELEMETRY_WAITING {
            return self.lose(1, record.len());
        }
        self.since.get_or_insert(now);
        self.bytes += record.len();
        self.records.push_back(record);
    }

    /// These records are lost.
    pub(super) fn lose(&mut self, records: usize, bytes: usize) {
        self.dropped.0 += records as u64;
        self.dropped.1 += bytes as u64;
    }

    /// How many records were lost, and their bytes, since this was asked last.
    pub(super) fn take_dropped(&mut self) -> Option<(u64, u64)> {
        Some(std::mem::take(&mut self.dropped)).filter(|(records, _)| *records > 0)
    }

    /// What there is goes out without gathering more.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && !self.delivering
    }

    /// When the next batch is due; none if there is nothing.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let since = self.since?;
        let full = self.records.len() >= self.bounds.items || self.bytes >= self.bounds.bytes;
        Some(if full || self.hurried { now } else { since + self.bounds.timeout })
    }

    /// The next batch.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Bytes> {
        let mut batch = Vec::new();
        let mut size = 0;
        while let Some(record) = self.records.front()
            && batch.len() < self.bounds.items
            && (batch.is_empty() || size + record.len() <= self.bounds.bytes)
        {
            size += record.len();
            batch.extend(self.records.pop_front());
        }
        self.bytes -= size;
        self.since = if self.records.is_empty() { None } else { Some(now) };
        self.hurried &= !self.records.is_empty();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_batch_is_due_when_it_is_full_or_old_or_in_a_hurry() {
        let bounds = Buffering { items: 3, bytes: 100, timeout: Duration::from_secs(1) };
        let mut buffer = Buffer::new(bounds);
        let now = Instant::now();
        assert_eq!(buffer.due(now), None);
        buffer.add("a".into(), now);
        assert_eq!(buffer.due(now), Some(now + bounds.timeout));
        buffer.add(vec![0; 99].into(), now);
        assert_eq!(buffer.due(now), Some(now));
        buffer.add("c".into(), now);
        assert_eq!((buffer.take(now).len(), buffer.take(now).len()), (2, 1));
        assert!(buffer.is_empty() && buffer.due(now).is_none());
        buffer.add("d".into(), now);
        buffer.hurry();
        assert_eq!(buffer.due(now), Some(now));
        buffer.take(now);
        buffer.add("e".into(), now);
        assert_eq!(buffer.due(now), Some(now + bounds.timeout));
    }

    #[tokio::test]
    async fn what_has_no_room_is_counted() {
        let bounds = Buffering { items: 3, bytes: 10, timeout: Duration::from_secs(1) };
        let mut buffer = Buffer::new(bounds);
        buffer.add(vec![0; TELEMETRY_WAITING].into(), Instant::now());
        buffer.add(vec![0; 11].into(), Instant::now());
        assert_eq!((buffer.take_dropped(), buffer.take_dropped()), (Some((1, 11)), None));
    }
}
