//! The memory of a runtime: whether copies can have it, and how they get it quickly.

use super::capture::Refusal;
use super::tracee::Tracee;
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// A huge page, in bytes.
const HUGE: u64 = 2 << 20;

/// A page, in bytes.
pub(super) const PAGE: u64 = 4_096;

/// From so much memory of its own on, a runtime gets huge pages, in bytes. Making a copy takes some 20 us for each MB that
/// is in small pages, and a thousandth of that for huge ones.
const WORTHWHILE: u64 = 24 << 20;

/// How many of the 512 small pages must be in use where a huge one is to be: the others become memory in use.
const IN_USE: usize = 384;

/// How much is made of huge pages at the most, in bytes: each takes some tenths of a millisecond.
const MOST: u64 = 1 << 30;

/// `MADV_COLLAPSE`: make a huge page of what is here, now.
const COLLAPSE: u64 = 25;

/// A range of addresses that processes have to themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Otherwise it is of a file.
    pub(super) writable: bool,
}

/// What of the runtime's memory needs care.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Ranges that forks do not get unless they are told to.
    not_forked: Vec<(u64, u64)>,
    /// Ranges of the runtime's own, and how many bytes of each are in use.
    own: Vec<(u64, u64, u64)>,
    /// What events may use.
    pub(super) mappings: Vec<Mapping>,
}

impl Memory {
    /// Looks at the memory of the stopped process `runtime`.
    pub(super) fn of(runtime: Pid) -> Result<Memory, Refusal> {
        read(&fs::read_to_string(format!("/proc/{runtime}/smaps"))?)
    }

    /// Changes what has to be changed before copies are made. What cannot be made faster stays as it is.
    pub(super) fn make_ready(&self, tracee: &Tracee) -> Result<(), Refusal> {
        for (start, end) in &self.not_forked {
            tracee.call(libc::SYS_madvise, &[*start, end - start, libc::MADV_DOFORK as u64])?;
        }
        if self.own.iter().map(|(_, _, used)| used).sum::<u64>() >= WORTHWHILE {
            let pages = File::open(format!("/proc/{}/pagemap", tracee.pid))?;
            let mut left = MOST / HUGE;
            for start in self.own.iter().flat_map(|(start, end, _)| huge(*start, *end)) {
                if left > 0 && is_in_use(&pages, start) {
                    left -= 1;
                    let _ = tracee.call(libc::SYS_madvise, &[start, HUGE, COLLAPSE]);
                }
            }
        }
        Ok(())
    }
}

/// The places for huge pages in a range.
fn huge(start: u64, end: u64) -> impl Iterator<Item = u64> {
    (start.next_multiple_of(HUGE)..end).step_by(HUGE as usize).filter(move |at| at + HUGE <= end)
}

/// Whether most small pages of a huge one are in use.
fn is_in_use(pages: &File, start: u64) -> bool {
    let mut entries = [0; 512 * 8];
    // The highest bit of an entry says that there is a page.
    pages.read_exact_at(&mut entries, start / PAGE * 8).is_ok()
        && entries.chunks_exact(8).filter(|entry| entry[7] & 0x80 != 0).count() >= IN_USE
}

fn read(smaps: &str) -> Result<Memory, Refusal> {
    let mut memory = Memory::default();
    let (mut range, mut line_of, mut used) = ((0, 0), "", 0);
    for line in smaps.lines() {
        if let Some(bounds) = bounds(line) {
            (range, line_of, used) = (bounds, line, 0);
        } else if let Some(size) = line.strip_prefix("Anonymous:") {
            used = size.split_whitespace().next().and_then(|size| size.parse().ok()).unwrap_or(0) * 1_024;
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            let has = |flag: &str| flags.split(' ').any(|one| one == flag);
            let name = line_of.split_whitespace().nth(5);
            if has("sh") && has("mw") {
                let name = name.unwrap_or("without a name");
                return Err(Refusal(format!("it maps memory that copies would share ({name})")));
            }
            if has("dc") && !has("io") && !has("pf") && !name.is_some_and(|name| name.starts_with("[v")) {
                match memory.not_forked.last_mut() {
                    Some(last) if last.1 == range.0 => last.1 = range.1,
                    _ => memory.not_forked.push(range),
                }
            }
            let writable = has("wr");
            if !has("io")
                && !has("pf")
                && (writable || has("rd") && name.is_some_and(|name| name.starts_with('/')))
            {
                memory.mappings.push(Mapping { start: range.0, end: range.1, writable });
            }
            if used > 0 && has("wr") && matches!(name, None | Some("[heap]")) {
                memory.own.push((range.0, range.1, used));
            }
        }
    }
    Ok(memory)
}

/// The range of addresses with which a mapping begins in `smaps`.
fn bounds(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(range: &str, name: &str, used: u32, flags: &str) -> String {
        format!("{range} rw-p 00000000 00:00 0 {name}\nAnonymous: {used} kB\nVmFlags: {flags}\n")
    }

    #[test]
    fn shared_memory_is_refused_and_what_forks_do_not_get_is_found() {
        let maps = mapping("1000-2000", "", 4, "rd wr mr mw me dc ac sd")
            + &mapping("2000-3000", "[heap]", 0, "rd wr mr mw me dc ac sd")
            + &mapping("5000-6000", "[vvar]", 0, "rd mr pf io de dd dc sd")
            + &mapping("7000-8000", "/lib/x.so", 4, "rd wr mr mw me ac sd")
            + &mapping("8000-9000", "/lib/x.so", 0, "rd ex mr mw me sd")
            + &mapping("9000-a000", "", 0, "mr mw me sd");
        let memory = read(&maps).unwrap();
        assert_eq!(memory.not_forked, [(0x1000, 0x3000)]);
        assert_eq!(memory.own, [(0x1000, 0x2000, 4_096)]);
        let of = |start, end, writable| Mapping { start, end, writable };
        assert_eq!(
            memory.mappings,
            [
                of(0x1000, 0x2000, true),
                of(0x2000, 0x3000, true),
                of(0x7000, 0x8000, true),
                of(0x8000, 0x9000, false)
            ]
        );
        let shared = mapping("1000-2000", "/dev/zero", 0, "rd wr sh mr mw me ms sd");
        assert_eq!(read(&shared).unwrap_err().0, "it maps memory that copies would share (/dev/zero)");
        assert!(read(&mapping("1000-2000", "/etc/x", 0, "rd sh mr me ms sd")).is_ok());
    }

    #[test]
    fn huge_pages_lie_at_their_own_multiples() {
        assert_eq!(huge(HUGE - PAGE, 3 * HUGE + PAGE).collect::<Vec<_>>(), [HUGE, 2 * HUGE]);
        assert_eq!(huge(0, HUGE - PAGE).count(), 0);
    }
}
