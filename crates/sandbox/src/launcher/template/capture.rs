//! Turns a runtime that waits for its event into a template: stops it for good, looks at all that it holds, and gives the
//! zygote what copies are made from.
//!
//! Whatever a copy could not have exactly as the runtime has it, or would share with other copies, is a reason not to
//! capture. The runtime then goes on as if nothing had been.

use super::descriptors::{self, Ends};
use super::layout::{
    Bytes, CODE, CODE_ROOM, CONTEXT, Context, RANGE, RANGE_COUNT, RANGES, SEAT_STACK, SEATS, STACK, STEP,
    Step, THREAD, Thread,
};
use super::memory::Memory;
use super::threads::{self, Stopped};
use super::tracee::Tracee;
use super::working_set::WorkingSet;
use crate::launcher::init::Birth;
use crate::launcher::landlock;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Why a runtime cannot be a template, in words for the function's owner.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal(format!("it could not be looked at: {error}"))
    }
}

impl From<nix::errno::Errno> for Refusal {
    fn from(errno: nix::errno::Errno) -> Refusal {
        io::Error::from(errno).into()
    }
}

/// What pid 1 must know of a template.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) working_set: WorkingSet,
    pub(super) threads: usize,
    /// The process id that copies have, in their own pid namespaces.
    pub(super) own_id: u32,
}

/// By what the ends of the runtime are recognised among its descriptors.
#[derive(Debug)]
pub(super) struct Identity {
    ends: Ends,
}

impl Identity {
    pub(super) fn of(birth: &Birth<'_>) -> io::Result<Identity> {
        let inode = |fd| nix::sys::stat::fstat(fd).map(|stat| stat.st_ino);
        let log = inode(birth.ends.log)?;
        let channel = birth.ends.channel.map(inode).transpose()?;
        Ok(Identity { ends: Ends { log, channel } })
    }
}

/// Captures the process `runtime` with the help of the `zygote`, which waits beside it.
pub(super) fn capture(
    birth: &Birth<'_>,
    proc: &OwnedFd,
    identity: &Identity,
    runtime: Pid,
    zygote: Pid,
) -> Result<Captured, Refusal> {
    let stopped = Stopped::stop(runtime)?;
    alone(runtime, zygote)?;
    let tracee = Tracee::of(runtime, proc)?;
    threads::undisturbed(&tracee)?;
    storage_is_empty()?;
    let memory = Memory::of(runtime)?;
    let steps = descriptors::plan(runtime, &identity.ends)?;
    let directory = fs::read_link(format!("/proc/{runtime}/cwd"))?;
    if !directory.is_dir() {
        return Err(Refusal("its working directory is gone".to_owned()));
    }

    let room = Room::map(&tracee, stopped.ids.len(), &steps, &directory)?;
    let shared = tracee.shares_memory_with(zygote, proc, room.context)?;
    let prepared = match shared {
        true => memory.make_ready(&tracee).and_then(|()| prepare(birth, &tracee, &stopped, &room, &steps)),
        false => Err(Refusal("it has replaced its program by another".to_owned())),
    };
    let own_id = match prepared {
        Ok(own_id) => own_id,
        Err(refusal) => {
            let _ = tracee.call(libc::SYS_munmap, &[room.start, room.length]);
            return Err(refusal);
        }
    };
    release(&room, zygote)?;
    for id in &stopped.ids {
        threads::end_quietly(&tracee, *id);
    }
    let threads = stopped.keep();
    let count = room.context + RANGE_COUNT;
    let working_set = WorkingSet::new(Tracee::memory(runtime, proc)?, room.ranges, count, memory.mappings);
    Ok(Captured { threads, own_id, working_set })
}

/// Whether the runtime and the zygote are the only processes here beside pid 1: others could share memory with them, or
/// have their other ends.
fn alone(runtime: Pid, zygote: Pid) -> Result<(), Refusal> {
    let known = [1, runtime.as_raw(), zygote.as_raw()];
    let others = fs::read_dir("/proc")?.flatten();
    let others = others.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    match others.filter(|pid| !known.contains(pid)).min() {
        None => Ok(()),
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Err(Refusal(format!("it has a child process ({})", name.trim())))
        }
    }
}

/// Copies get storage of their own, which begins empty.
fn storage_is_empty() -> Result<(), Refusal> {
    for directory in ["/tmp", "/dev/shm"] {
        if let Some(entry) = fs::read_dir(directory)?.flatten().next() {
            return Err(Refusal(format!(
                "its initialisation left files in {directory}: {}",
                entry.path().display()
            )));
        }
    }
    Ok(())
}

/// Where everything lies that is put into the runtime's memory.
#[derive(Debug)]
struct Room {
    start: u64,
    length: u64,
    context: u64,
    threads: u64,
    steps: u64,
    texts: u64,
    ranges: u64,
    zygote_stack: u64,
    frames: u64,
    frame_length: u64,
    seats: u64,
    text: Vec<u8>,
    directory: u64,
}

impl Room {
    /// Maps the room: the code may be run and not written, the rest written and not run.
    fn map(tracee: &Tracee, threads: usize, steps: &[Step], directory: &Path) -> Result<Room, Refusal> {
        use std::os::unix::ffi::OsStrExt;
        let mut text: Vec<u8> = Vec::new();
        for step in steps {
            text.extend_from_slice(step.text());
            text.push(0);
        }
        let directory_at = text.len() as u64;
        text.extend_from_slice(directory.as_os_str().as_bytes());
        text.push(0);

        let frame_length = page(threads::frame_length()? + STACK);
        let sizes = [
            CODE_ROOM,
            CONTEXT,
            THREAD * threads as u64,
            STEP * steps.len() as u64,
            text.len() as u64,
            RANGE * RANGES,
        ];
        let mut at = [0; 7];
        for (index, size) in sizes.into_iter().enumerate() {
            at[index + 1] = (at[index] + size).next_multiple_of(64);
        }
        let zygote_stack = page(at[6]) + 2 * STACK;
        let frames = page(zygote_stack);
        let seats = frames + frame_length * threads as u64;
        let length = page(seats + SEATS * SEAT_STACK);

        let map = |address: u64, protection: i32| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            tracee.call(libc::SYS_mmap, &[address, length, protection as u64, flags as u64, u64::MAX, 0])
        };
        let start = map(0, libc::PROT_READ | libc::PROT_WRITE)?;
        let protection = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        tracee.call(libc::SYS_mprotect, &[start, CODE_ROOM, protection])?;
        Ok(Room {
            start,
            length,
            context: start + at[1],
            threads: start + at[2],
            steps: start + at[3],
            texts: start + at[4],
            ranges: start + at[5],
            zygote_stack: start + zygote_stack,
            frames: start + frames,
            frame_length,
            seats: start + seats,
            directory: start + at[4] + directory_at,
            text,
        })
    }
}

fn page(length: u64) -> u64 {
    length.next_multiple_of(4_096)
}

/// Writes down everything that copies are made from; the process id that they get.
fn prepare(
    birth: &Birth<'_>,
    tracee: &Tracee,
    stopped: &Stopped,
    room: &Room,
    steps: &[Step],
) -> Result<u32, Refusal> {
    let mut table = Bytes::default();
    let mut highest = 0;
    for (index, id) in stopped.ids.iter().enumerate() {
        let frame = room.frames + room.frame_length * index as u64;
        let (thread, image) = threads::save(tracee, *id, frame)?;
        highest = highest.max(thread.id);
        tracee.write(frame, &image)?;
        Thread { frame, stack: frame + room.frame_length, ..thread }.write(&mut table);
    }
    tracee.write(room.threads, &table.0)?;

    let mut plan = Bytes::default();
    let mut text = room.texts;
    for step in steps {
        step.write(&mut plan, text);
        text += step.text().len() as u64 + 1;
    }
    tracee.write(room.steps, &plan.0)?;
    tracee.write(room.texts, &room.text)?;

    let context = Context {
        threads: stopped.ids.len() as u32,
        steps: steps.len() as u32,
        thread_table: room.threads,
        step_table: room.steps,
        directory: room.directory,
        umask: threads::umask(tracee.pid)?,
        landlock_flags: birth.landlock.map_or(0, landlock::flags),
        seat_stacks: room.seats,
        pid: tracee.pid.as_raw() as u32,
        range_table: room.ranges,
    };
    let mut bytes = Bytes::default();
    context.write(&mut bytes);
    tracee.write(room.context, &bytes.0)?;
    tracee.write(room.start, CODE)?;
    Ok(highest + 1)
}

/// Lets the zygote run, at the beginning of its code.
fn release(room: &Room, zygote: Pid) -> Result<(), Refusal> {
    let mut registers = ptrace::getregs(zygote)?;
    registers.rip = room.start;
    registers.rdi = room.context;
    registers.rsp = room.zygote_stack - 8;
    registers.rax = 0;
    registers.orig_rax = u64::MAX;
    ptrace::setregs(zygote, registers)?;
    ptrace::detach(zygote, None)?;
    Ok(())
}
