//! What a function prints, as lines.

use super::telemetry::{Category, Hub};
use crate::Line;
use model::limits::{LOG_AHEAD, LOG_LINE, LOG_PER_EVENT};
use model::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// How long the last lines of a log wait for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many lines are held for an event to come.
const HELD: usize = 2_000;

/// Splits a stream of bytes into lines and passes them on, within bounds. It never waits: a function that prints
/// faster than lines are taken loses lines, not time. What is printed while there is no event is held for the next one.
pub(super) struct Lines {
    /// Takes the lines of the present event.
    to: Option<Sender<Line>>,
    held: Vec<Line>,
    clock: Arc<dyn Clock>,
    partial: Vec<u8>,
    /// Bytes that may still be passed on.
    room: usize,
    /// What the platform has to say at the end.
    notes: Vec<String>,
    /// Lines that were not taken.
    lost: u64,
    /// Bytes that came after the room was used up.
    dropped: u64,
    /// Hears of each line, where there are extensions.
    tap: Option<(Arc<Hub>, Category)>,
}

impl Lines {
    /// What a process prints that has no event yet.
    pub(super) fn held(clock: Arc<dyn Clock>) -> Self {
        Lines {
            to: None,
            held: Vec::new(),
            clock,
            partial: Vec::new(),
            room: LOG_AHEAD,
            notes: Vec::new(),
            lost: 0,
            dropped: 0,
            tap: None,
        }
    }

    /// Lets extensions hear of each line.
    pub(super) fn tap(&mut self, hub: &Arc<Hub>, category: Category) {
        self.tap = Some((Arc::clone(hub), category));
    }

    /// A line of the platform's own, at once.
    pub(super) fn say(&mut self, text: String) {
        self.pass(self.clock.now(), text, true);
    }

    /// From here on lines belong to an event; `warning` comes first, then what was held.
    pub(super) fn begin(&mut self, to: Sender<Line>, warning: Option<&str>) {
        self.to = Some(to);
        self.room = LOG_PER_EVENT;
        if let Some(warning) = warning {
            self.pass(self.clock.now(), format!("[WARNING] {warning}"), true);
        }
        for line in std::mem::take(&mut self.held) {
            self.pass(line.time, line.text, line.platform);
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let text = format!("[{dropped} more bytes were printed before the event, and were dropped]");
            self.pass(self.clock.now(), text, true);
        }
    }

    /// Takes out what is held.
    pub(super) fn take_held(&mut self) -> Vec<Line> {
        self.flush_partial();
        std::mem::take(&mut self.held)
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

    /// The platform's own line at the end of the log.
    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The present time of the same clock that stamps lines.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Passes on an unfinished line, says what is missing, and ends the event's log with the platform's notes. Only here
    /// may the function's end wait a moment for whoever takes the lines.
    pub(super) async fn finish(&mut self) {
        self.flush_partial();
        let mut last = Vec::new();
        if self.dropped > 0 {
            let most = LOG_PER_EVENT;
            last.push(format!(
                "[the log of one event ends at {most} bytes; {} more were dropped]",
                self.dropped
            ));
        }
        if self.lost > 0 {
            last.push(format!(
                "[{} lines came faster than they could be stored and were dropped]",
                self.lost
            ));
        }
        last.append(&mut self.notes);
        (self.dropped, self.lost, self.room) = (0, 0, LOG_AHEAD);
        let Some(to) = self.to.take() else { return };
        for text in last {
            let line = Line { time: self.clock.now(), text, platform: true };
            let _ = to.send_timeout(line, PATIENCE).await;
        }
    }

    /// Takes an unfinished line for a whole one.
    pub(super) fn flush_partial(&mut self) {
        if !self.partial.is_empty() {
            self.flush();
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
        if let Some((hub, category)) = &self.tap {
            hub.line(*category, &text);
        }
        self.pass(self.clock.now(), text, false);
    }

    fn pass(&mut self, time: Timestamp, text: String, platform: bool) {
        let line = Line { time, text, platform };
        match &self.to {
            Some(to) => self.lost += u64::from(to.try_send(line).is_err()),
            None if self.held.len() < HELD => self.held.push(line),
            None => self.dropped += line.text.len() as u64 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FakeClock;
    use tokio::sync::mpsc;

    #[tokio::main(flavor = "current_thread")]
    async fn printed(chunks: &[&[u8]], capacity: usize) -> Vec<String> {
        let (to, mut from) = mpsc::channel(capacity);
        let mut lines = Lines::held(Arc::new(FakeClock::new(Timestamp(0))));
        lines.begin(to, None);
        chunks.iter().for_each(|chunk| lines.print(chunk));
        lines.note("the end".to_owned());
        let take = async {
            let mut taken = Vec::new();
            while let Some(line) = from.recv().await {
                taken.push(line.text);
            }
            taken
        };
        let finish = async move { lines.finish().await };
        let ((), mut taken) = tokio::join!(finish, take);
        assert_eq!(taken.pop().as_deref(), Some("the end"));
        taken
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
        let lost = "[1 lines came faster than they could be stored and were dropped]";
        assert_eq!(printed(&[b"a\nb\nc\n"], 2), ["a", "b", lost]);
    }

    #[tokio::test]
    async fn what_comes_before_an_event_is_held_for_it_within_bounds() {
        let mut lines = Lines::held(Arc::new(FakeClock::new(Timestamp(0))));
        lines.print(b"ahead\nand ");
        let (to, mut from) = mpsc::channel(10);
        lines.begin(to, Some("odd"));
        lines.print(b"now\n");
        lines.finish().await;
        lines.print(&vec![b'\n'; HELD]);
        lines.print(&vec![b'x'; LOG_AHEAD - HELD + 1]);
        let mut texts = Vec::new();
        while let Some(line) = from.recv().await {
            texts.push(line.text);
        }
        assert_eq!(texts, ["[WARNING] odd", "ahead", "and now"]);
        let (to, mut from) = mpsc::channel(HELD + 10);
        lines.begin(to, None);
        let mut last = None;
        while let Ok(line) = from.try_recv() {
            last = Some(line.text);
        }
        assert_eq!(last.as_deref(), Some("[1 more bytes were printed before the event, and were dropped]"));
    }
}
