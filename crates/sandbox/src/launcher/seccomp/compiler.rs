//! Makes one program for the kernel out of verdicts on system calls.
//!
//! The kernel walks a program that is being loaded once for each system call there is, to learn which need no look at
//! their arguments. So the number is found by halving: a program that compares with one number after the other takes
//! ten times as long to load.
//!
//! A program is written from its end to its beginning: jumps lead forwards only, so that where they lead is there by
//! then, and what is there already is not written a second time.

use crate::sys::seccomp::Instruction;
use std::collections::{BTreeMap, HashMap};

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is made.
    Allow,
    /// It is made if one of the rules holds, and fails with EPERM if none does.
    AllowIf(Vec<Rule>),
    /// It fails with EPERM.
    Refuse,
    /// It fails with ENOSYS, as if the kernel did not have it.
    Absent,
}

/// Conditions that hold together.
pub(super) type Rule = Vec<Condition>;

/// Something about the low half of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Which argument, from 0.
    pub(super) argument: u32,
    /// The bits of it that are looked at.
    pub(super) mask: u32,
    /// What they are compared with.
    pub(super) value: u32,
    /// Whether they must be equal, or must not.
    pub(super) equal: bool,
}

impl Condition {
    /// The argument is this value.
    pub(super) fn is(argument: u32, value: u32) -> Condition {
        Condition { argument, mask: u32::MAX, value, equal: true }
    }

    /// The argument is not this value.
    pub(super) fn is_not(argument: u32, value: u32) -> Condition {
        Condition { equal: false, ..Condition::is(argument, value) }
    }

    /// The argument's bits within `mask` are this value.
    pub(super) fn masked(argument: u32, mask: u32, value: u32) -> Condition {
        Condition { mask, ..Condition::is(argument, value) }
    }

    /// Whether this holds, once it is known whether the bits that `known` looks at are its value. None: not known.
    fn given(&self, known: &Condition, equal: bool) -> Option<bool> {
        if (self.argument, self.mask) != (known.argument, known.mask) {
            return None;
        }
        match (self.value == known.value, equal) {
            (true, _) => Some(self.equal == equal),
            (false, true) => Some(!self.equal),
            (false, false) => None,
        }
    }
}

/// Where the parts of the kernel's `seccomp_data` lie.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const MASK: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;

/// The program that does what `verdicts` say, refuses calls they do not name, and ends a process that calls by the
/// numbers of another architecture than this one.
pub(super) fn compile(architecture: u32, verdicts: &BTreeMap<u32, Verdict>) -> Vec<Instruction> {
    let mut program = Program::default();
    let refused = program.verdict(&Verdict::Refuse);
    // Where a verdict begins to hold, by number.
    let mut begins = vec![(0, refused)];
    for (number, verdict) in verdicts {
        let place = program.verdict(verdict);
        for (first, place) in [(*number, place), (*number + 1, refused)] {
            begins.pop_if(|(last, _)| *last == first);
            if begins.last().is_none_or(|(_, last)| *last != place) {
                begins.push((first, place));
            }
        }
    }
    let search = program.search(&begins);
    let number = program.before(LOAD, NUMBER, search);
    let kill = program.end(libc::SECCOMP_RET_KILL_PROCESS);
    let right = program.branch(IF_EQUAL, architecture, number, kill);
    program.before(LOAD, ARCHITECTURE, right);
    program.backwards.reverse();
    program.backwards
}

/// An instruction that is there: how many come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place(usize);

/// A program in the making.
#[derive(Debug, Default)]
struct Program {
    backwards: Vec<Instruction>,
    /// Where an instruction is that does this and goes on there.
    known: HashMap<(u16, u32, Option<Place>, Option<Place>), Place>,
}

impl Program {
    fn verdict(&mut self, verdict: &Verdict) -> Place {
        match verdict {
            Verdict::Allow => self.end(libc::SECCOMP_RET_ALLOW),
            Verdict::Refuse => self.end(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            Verdict::Absent => self.end(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
            Verdict::AllowIf(rules) => self.decide(rules.clone()),
        }
    }

    /// Allows if one of the rules holds.
    fn decide(&mut self, rules: Vec<Rule>) -> Place {
        if rules.iter().any(Vec::is_empty) {
            return self.verdict(&Verdict::Allow);
        }
        let Some(asked) = rules.first().and_then(|rule| rule.first()).copied() else {
            return self.verdict(&Verdict::Refuse);
        };
        let [yes, no] = [true, false].map(|equal| {
            let open = rules.iter().filter_map(|rule| {
                let fails = rule.iter().any(|condition| condition.given(&asked, equal) == Some(false));
                let open = rule.iter().filter(|condition| condition.given(&asked, equal).is_none());
                (!fails).then(|| open.copied().collect())
            });
            self.decide(open.collect())
        });
        let source = ARGUMENTS + 8 * asked.argument;
        let [yes, no] = [yes, no].map(|place| self.after_loading(source, asked.mask, place));
        let mut first = self.branch(IF_EQUAL, asked.value, yes, no);
        if asked.mask != u32::MAX {
            first = self.before(MASK, asked.mask, first);
        }
        self.before(LOAD, source, first)
    }

    /// The place after the instructions at `place` that load what has been loaded already, if that is what they do.
    fn after_loading(&self, source: u32, mask: u32, place: Place) -> Place {
        let does = |place: usize, code, operand| {
            self.backwards.get(place).is_some_and(|it| (it.code, it.operand) == (code, operand))
        };
        match place.0 {
            at if !does(at, LOAD, source) => place,
            at if does(at - 1, MASK, mask) => Place(at - 2),
            at if mask == u32::MAX => Place(at - 1),
            _ => place,
        }
    }

    /// Goes to the last of these places whose number is not above the call's, by halving.
    fn search(&mut self, begins: &[(u32, Place)]) -> Place {
        let (low, high) = begins.split_at(begins.len() / 2);
        let [(middle, place), ..] = high else { return self.verdict(&Verdict::Refuse) };
        if low.is_empty() {
            return *place;
        }
        let no = self.search(low);
        let yes = self.search(high);
        self.branch(IF_AT_LEAST, *middle, yes, no)
    }

    /// Ends with this result.
    fn end(&mut self, result: u32) -> Place {
        self.write(RETURN, result, None, None)
    }

    /// Does something and goes on at `next`.
    fn before(&mut self, code: u16, operand: u32, next: Place) -> Place {
        self.write(code, operand, Some(next), None)
    }

    /// Goes on at one of two places, by a comparison of what was loaded.
    fn branch(&mut self, code: u16, operand: u32, yes: Place, no: Place) -> Place {
        if yes == no { yes } else { self.write(code, operand, Some(yes), Some(no)) }
    }

    /// Writes an instruction, unless it is there.
    fn write(&mut self, code: u16, operand: u32, next: Option<Place>, no: Option<Place>) -> Place {
        let meaning = (code, operand, next, no);
        if let Some(place) = self.known.get(&meaning) {
            return *place;
        }
        let (yes, no) = match (next, no) {
            (Some(yes), Some(no)) => {
                // A jump that is put in between for the one makes the other longer by one.
                let near = u8::MAX.into();
                let [yes, no] =
                    [yes, no].map(|place| if self.skipped(place) < near { place } else { self.jump(place) });
                (self.skipped(yes) as u8, self.skipped(no) as u8)
            }
            (Some(next), None) if self.skipped(next) > 0 => {
                self.jump(next);
                (0, 0)
            }
            _ => (0, 0),
        };
        self.backwards.push(Instruction { code, yes, no, operand });
        let place = Place(self.backwards.len() - 1);
        self.known.insert(meaning, place);
        place
    }

    /// Jumps any distance.
    fn jump(&mut self, to: Place) -> Place {
        let operand = self.skipped(to) as u32;
        self.backwards.push(Instruction { code: JUMP, yes: 0, no: 0, operand });
        Place(self.backwards.len() - 1)
    }

    /// How many instructions lie between the next one to be written and this one.
    fn skipped(&self, place: Place) -> usize {
        self.backwards.len() - 1 - place.0
    }
}
