//! Whether there is room for one more event: pure arithmetic on what runs and what the machine has.

use model::limits;

/// The room of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The memory that running functions may be limited to, all together, in MB.
    pub memory_mb: u64,
    /// How many events run at the same time at the most.
    pub running: usize,
    /// How many of them may be initialising. Starting an interpreter is all processor time, so starting more
    /// at once than the processors can carry makes every one of them late.
    pub starting: usize,
    /// So many events that nobody waits for run at the same time however busy the processors are.
    pub background: usize,
}

impl Capacity {
    /// The room of a machine with so much memory and so many processors: four fifths of its memory, and two
    /// starts per processor.
    pub fn of_machine(memory_mb: u64, processors: usize) -> Self {
        Capacity {
            memory_mb: memory_mb / 5 * 4,
            running: limits::CONCURRENCY,
            starting: 2 * processors.max(1),
            background: 2 * processors.max(1),
        }
    }

    /// Whether the machine has memory for an event of a function with `memory_mb`. One that is larger than the machine
    /// starts when nothing else runs: its own limit still holds.
    pub fn has_memory(&self, load: &Load, memory_mb: u32) -> bool {
        load.running == 0 || load.memory_mb + u64::from(memory_mb) <= self.memory_mb
    }

    /// Whether `running` events of a function may become one more: of one for which `reserved` are reserved that many, of
    /// others as many as all reservations, `reserved_all`, leave.
    pub fn has_place(
        &self,
        load: &Load,
        running: usize,
        reserved: Option<usize>,
        reserved_all: usize,
    ) -> bool {
        // After a change of reservations what runs may be more than those now allow; the whole never is.
        load.running < self.running
            && match reserved {
                Some(reserved) => running < reserved,
                None => load.unreserved < self.running.saturating_sub(reserved_all),
            }
    }
}

/// What runs at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The sum of the memory limits of what runs, in MB.
    pub memory_mb: u64,
    /// How many events run, those that are starting included.
    pub running: usize,
    /// How many of them are of functions without a reservation.
    pub unreserved: usize,
    /// How many of them nobody waits for.
    pub background: usize,
    /// How many have no initialised process yet.
    pub starting: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_memory_and_concurrency_leave() {
        let capacity = Capacity { memory_mb: 1000, running: 10, starting: 2, background: 2 };
        let load = |memory_mb, running| Load { memory_mb, running, unreserved: running, ..Load::default() };
        for (load, memory_mb, fits) in [
            (load(0, 0), 128, true),
            (load(0, 0), 5000, true),
            (load(900, 1), 100, true),
            (load(900, 1), 101, false),
        ] {
            assert_eq!(capacity.has_memory(&load, memory_mb), fits, "{load:?} + {memory_mb}");
        }
        for (load, running, reserved, all, fits) in [
            (load(0, 9), 9, None, 0, true),
            (load(0, 10), 1, None, 0, false),
            (load(0, 6), 0, None, 4, false),
            (load(0, 5), 0, None, 4, true),
            (load(0, 9), 3, Some(4), 4, true),
            (load(0, 10), 3, Some(4), 4, false),
            (load(0, 0), 4, Some(4), 4, false),
            (load(0, 0), 0, Some(0), 0, false),
        ] {
            assert_eq!(
                capacity.has_place(&load, running, reserved, all),
                fits,
                "{load:?} {running} {reserved:?}"
            );
        }
    }
}
