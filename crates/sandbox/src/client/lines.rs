//! What a function prints, as lines.

use crate::Line;
use model::limits::{LOG_LINE, LOG_PER_EVENT};
use model::{Clock, Timestamp};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// Splits a stream of bytes into lines and passes them on, within bounds. It never waits: a function that prints
/// faster than lines are taken loses lines, not time.
pub(super) struct Lines {
    to: Sender<Line>,
    clock: Arc<dyn Clock>,
    partial: Vec<u8>,
    /// Bytes that may still be passed on.
    room: usize,
    /// Lines that were not taken.
    lost: u64,
    /// Bytes that came after the room was used up.
    dropped: u64,
}

impl Lines {
    pub(super) fn new(to: Sender<Line>, clock: Arc<dyn Clock>) -> Self {
        Lines { to, clock, partial: Vec::new(), room: LOG_PER_EVENT, lost: 0, dropped: 0 }
    }

    /// Takes what was printed.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.dropped += (bytes.len() - taken) as u64;
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let space = LOG_LINE - self.partial.len();
            let window = &rest[..rest.len().min(space)];
            if let Some(end) = window.iter().position(|byte| *byte == b'\n') {
                self.partial.extend_from_slice(&window[..end]);
                rest = &rest[end + 1..];
                self.flush();
            } else {
                self.partial.extend_from_slice(window);
                rest = &rest[window.len()..];
                if self.partial.len() == LOG_LINE {
                    self.flush();
                }
            }
        }
    }

    /// The platform's own line about this event.
    pub(super) fn note(&mut self, text: String) {
        if !self.partial.is_empty() {
            self.flush();
        }
        self.pass(text);
    }

    /// The present time of the same clock that stamps lines.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Passes on an unfinished line, and says what is missing.
    pub(super) fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.flush();
        }
        if self.dropped > 0 {
            let text = format!(
                "[the log of one event ends at {LOG_PER_EVENT} bytes; {} more were dropped]",
                self.dropped
            );
            self.pass(text);
        }
        if self.lost > 0 {
            let text =
                format!("[{} lines came faster than they could be stored and were dropped]", self.lost);
            self.pass(text);
        }
    }

    fn flush(&mut self) {
        let mut bytes = self.partial.as_slice();
        if let [front @ .., b'\r'] = bytes {
            bytes = front;
        }
        // A carriage return inside a line keeps a record of several lines in one piece, as in Lambda's log.
        let text = String::from_utf8_lossy(bytes).replace('\r', "\n");
        self.partial.clear();
        self.pass(text);
    }

    fn pass(&mut self, text: String) {
        let line = Line { time: self.clock.now(), text };
        if self.to.try_send(line).is_err() {
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FakeClock;
    use tokio::sync::mpsc;

    fn printed(chunks: &[&[u8]], capacity: usize) -> Vec<String> {
        let (to, mut from) = mpsc::channel(capacity);
        let mut lines = Lines::new(to, Arc::new(FakeClock::new(Timestamp(0))));
        chunks.iter().for_each(|chunk| lines.print(chunk));
        lines.finish();
        drop(lines);
        std::iter::from_fn(|| from.try_recv().ok()).map(|line| line.text).collect()
    }

    #[test]
    fn lines_end_at_newlines_wherever_the_chunks_end() {
        assert_eq!(printed(&[b"on", b"e\ntwo\r\n\nla", b"st"], 10), ["one", "two", "", "last"]);
    }

    #[test]
    fn a_carriage_return_keeps_a_record_together() {
        assert_eq!(printed(&[b"[ERROR] X\rTraceback\r\n"], 10), ["[ERROR] X\nTraceback"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_an_endless_log_ends_with_a_notice() {
        let chunk = vec![b'x'; LOG_LINE];
        let chunks: Vec<&[u8]> = (0..LOG_PER_EVENT / LOG_LINE + 2).map(|_| &chunk[..]).collect();
        let lines = printed(&chunks, 1_000);
        assert_eq!(lines.len(), LOG_PER_EVENT / LOG_LINE + 1);
        assert!(lines.last().unwrap().contains("524288 more were dropped"), "{:?}", lines.last());
    }

    #[test]
    fn lines_that_nobody_takes_are_counted() {
        assert_eq!(printed(&[b"a\nb\nc\n"], 2), ["a", "b"]);
    }
}
