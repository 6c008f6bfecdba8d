//! Which of a template's memory an event uses, so that later copies have it before their events come.
//!
//! A copy shares all memory with its template, and the kernel gives it a page of its own when it first writes to one:
//! some microseconds each, hundreds of times in one event, thousands of times for a large JVM. What the first events used
//! is what the next ones use (D. Ustiugov et al., "Benchmarking, Analysis, and Optimization of Serverless Function
//! Snapshots", ASPLOS 2021), so each copy asks for that in one go, while it is made. Only *which* pages they are is
//! learned, never what stands in them.

use super::layout::{Bytes, RANGE, RANGES};
use super::memory::{Mapping, PAGE};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most pages that a copy is given before it writes to them: 6 MB.
const MOST: usize = 1_536;

/// The most pages of mappings that are looked at: 1 GB.
const LOOKED_AT: u64 = 1 << 18;

/// The kernel maps files in pieces of so many pages.
const PIECE: u64 = 16;

/// Bits of an entry of `/proc/pid/pagemap` (the kernel's `admin-guide/mm/pagemap`).
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

/// What has been learned so far.
#[derive(Debug)]
pub(super) struct WorkingSet {
    /// The template's memory.
    memory: File,
    /// Where in it the ranges lie, and how many they are.
    table: u64,
    count: u64,
    mappings: Vec<Mapping>,
    /// The pages that are written to, and the pieces of files that are read.
    written: HashSet<u64>,
    read: HashSet<u64>,
    ranges: u64,
}

impl WorkingSet {
    /// Of a template with these `mappings`, whose copies find ranges at `table` and their number at `count` of `memory`.
    pub(super) fn new(memory: File, table: u64, count: u64, mappings: Vec<Mapping>) -> WorkingSet {
        WorkingSet {
            memory,
            table,
            count,
            mappings,
            written: HashSet::new(),
            read: HashSet::new(),
            ranges: 0,
        }
    }

    /// Adds what a copy has used whose `pagemap` this is.
    pub(super) fn learn(&mut self, pagemap: &File) -> io::Result<()> {
        let mut found = Vec::new();
        let mut left = LOOKED_AT;
        for mapping in &self.mappings {
            let (start, end) = (mapping.start / PAGE, mapping.end / PAGE);
            let end = end.min(start + left);
            left -= end - start;
            let mut entries = vec![0; (end - start) as usize * 8];
            if pagemap.read_exact_at(&mut entries, start * 8).is_err() {
                break; // it has ended
            }
            let entries = entries
                .chunks_exact(8)
                .map(|entry| entry.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte)));
            for (page, entry) in (start..).zip(entries) {
                if mapping.writable {
                    let own = entry & (PRESENT | EXCLUSIVE | OF_FILE) == PRESENT | EXCLUSIVE;
                    if own && self.written.len() < MOST && self.written.insert(page) {
                        add(&mut found, Range { start: page, end: page + 1, written: true });
                    }
                } else if entry & (PRESENT | OF_FILE) == PRESENT | OF_FILE && self.read.insert(page / PIECE) {
                    let first = page / PIECE * PIECE;
                    let piece =
                        Range { start: first.max(start), end: (first + PIECE).min(end), written: false };
                    add(&mut found, piece);
                }
            }
        }
        found.truncate(RANGES.saturating_sub(self.ranges) as usize);
        let mut bytes = Bytes::default();
        for range in &found {
            bytes
                .word(range.start * PAGE)
                .word(((range.end - range.start) * PAGE) | u64::from(range.written));
        }
        // A copy that is being made now sees the old number.
        self.memory.write_all_at(&bytes.0, self.table + self.ranges * RANGE)?;
        self.ranges += found.len() as u64;
        self.memory.write_all_at(&(self.ranges as u32).to_le_bytes(), self.count)
    }
}

/// Pages from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    start: u64,
    end: u64,
    written: bool,
}

/// Adds a range behind the others.
fn add(to: &mut Vec<Range>, range: Range) {
    match to.last_mut() {
        Some(last) if last.end == range.start && last.written == range.written => last.end = range.end,
        _ => to.push(range),
    }
}
