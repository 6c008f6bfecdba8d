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
}

impl Capacity {
    /// The room of a machine with so much memory and so many processors: four fifths of its memory, and two
    /// starts per processor.
    pub fn of_machine(memory_mb: u64, processors: usize) -> Self {
        Capacity {
            memory_mb: memory_mb / 5 * 4,
            running: limits::CONCURRENCY,
            starting: 2 * processors.max(1),
        }
    }

    /// Whether an event of a function with `memory_mb` may be placed now. One that is larger than the machine starts
    /// when nothing else runs: its own limit still holds. One that has to `start` a process and that nobody waits for
    /// is placed only when it can do so at once, so that it is not in the way of those that somebody waits for.
    pub fn fits(&self, load: &Load, memory_mb: u32, start: bool) -> bool {
        let memory = load.memory_mb + u64::from(memory_mb);
        load.running < self.running
            && (memory <= self.memory_mb || load.running == 0)
            && (!start || load.starting < self.starting)
    }
}

/// What runs at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The sum of the memory limits of what runs, in MB.
    pub memory_mb: u64,
    /// How many events run, those that are starting included.
    pub running: usize,
    /// How many have no initialised process yet.
    pub starting: usize,
}

impl Load {
    /// An event of a function with `memory_mb` starts.
    pub fn enter(&mut self, memory_mb: u32) {
        self.memory_mb += u64::from(memory_mb);
        self.running += 1;
        self.starting += 1;
    }

    /// An event is initialised.
    pub fn started(&mut self) {
        self.starting -= 1;
    }

    /// An initialised event ends.
    pub fn leave(&mut self, memory_mb: u32) {
        self.memory_mb -= u64::from(memory_mb);
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_memory_starts_and_concurrency_leave() {
        let capacity = Capacity { memory_mb: 1000, running: 3, starting: 2 };
        let load = |memory_mb, running, starting| Load { memory_mb, running, starting };
        for (load, memory_mb, start, fits) in [
            (load(0, 0, 0), 128, true, true),
            (load(0, 0, 0), 5000, true, true),
            (load(900, 1, 0), 100, true, true),
            (load(900, 1, 0), 101, true, false),
            (load(256, 2, 2), 128, true, false),
            (load(256, 2, 2), 128, false, true),
            (load(256, 2, 1), 128, true, true),
            (load(256, 3, 0), 128, false, false),
        ] {
            assert_eq!(capacity.fits(&load, memory_mb, start), fits, "{load:?} + {memory_mb}");
        }
    }

    #[test]
    fn a_load_returns_to_nothing() {
        let mut load = Load::default();
        load.enter(128);
        load.enter(256);
        load.started();
        load.leave(128);
        load.started();
        load.leave(256);
        assert_eq!(load, Load::default());
    }
}
