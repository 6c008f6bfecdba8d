//! What is done next for one function: pure, tested by table.

use model::{FunctionSpec, StartMode, Wanted};

/// What waits ahead of a function's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Copies of a template.
    Copies,
    /// Processes that are started ahead.
    Ready,
    /// Processes that have served an event.
    Kept,
    /// Nothing.
    Nothing,
}

/// The way of a function on a machine where copies can be made, or cannot for a reason; with the reason why there are
/// none where there might be.
pub(super) fn way(spec: &FunctionSpec, templates: Result<(), &str>) -> (Way, Option<String>) {
    let copies = |reason: Option<&str>| match (reason, templates) {
        (Some(reason), _) => (Way::Ready, Some(reason.to_owned())),
        (None, Err(reason)) => (Way::Ready, Some(format!("this machine makes no copies: {reason}"))),
        (None, Ok(())) => (Way::Copies, None),
    };
    match spec.start {
        StartMode::Cold => (Way::Nothing, Some("its owner asks for cold starts".to_owned())),
        StartMode::Warm => (Way::Kept, Some("its owner asks for processes that are used again".to_owned())),
        StartMode::Ready => (Way::Ready, Some("its owner asks for processes that are not copied".to_owned())),
        StartMode::Clone => copies(None),
        StartMode::Fresh => match Wanted::parse(&spec.runtime) {
            Some(Wanted::Language(..)) => copies(None),
            _ => copies(Some(
                "copies of a custom runtime may share random state; the tag mayfly:start = clone vouches for it",
            )),
        },
    }
}

/// How far a function's template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, and nothing stands against one.
    Absent,
    /// It is being made.
    Starting,
    /// Copies can be made.
    Captured,
    /// It cannot be had; processes are started ahead instead.
    Refused,
}

/// All that the decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) way: Way,
    pub(super) stage: Stage,
    /// How many processes wait.
    pub(super) held: usize,
    /// How many are being made.
    pub(super) making: usize,
    /// How many events wait for a process.
    pub(super) asking: usize,
    /// How many processes should wait.
    pub(super) target: usize,
    /// The last attempt failed not long ago.
    pub(super) resting: bool,
}

/// What is to be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Template,
    /// So many copies.
    Copies(usize),
    /// So many processes that are started.
    Starts(usize),
}

/// What is to be made now. Events that wait are counted where a copy is all that they wait for; else they start a process
/// for themselves when they may, and what is made ahead is for those that come later.
pub(super) fn step(facts: &Facts) -> Step {
    let Facts { way, stage, held, making, asking, target, resting } = *facts;
    let lacking = |of: usize| of.saturating_sub(held + making);
    let step = match (way, stage) {
        _ if resting => Step::Nothing,
        (Way::Nothing, _) | (_, Stage::Starting) => Step::Nothing,
        (Way::Copies, Stage::Absent) if target > 0 => Step::Template,
        (Way::Copies, Stage::Absent) => Step::Nothing,
        (Way::Copies, Stage::Captured) => Step::Copies(lacking(target + asking)),
        (Way::Copies, Stage::Refused) | (Way::Ready | Way::Kept, _) => Step::Starts(lacking(target)),
    };
    match step {
        Step::Copies(0) | Step::Starts(0) => Step::Nothing,
        step => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CodeId, FunctionArn};

    #[test]
    fn the_way_follows_the_owner_the_runtime_and_the_machine() {
        for (mode, runtime, possible, expected) in [
            (StartMode::Fresh, "python3.11", true, Way::Copies),
            (StartMode::Fresh, "nodejs22.x", true, Way::Copies),
            (StartMode::Fresh, "java21", true, Way::Copies),
            (StartMode::Fresh, "provided.al2023", true, Way::Ready),
            (StartMode::Fresh, "python3.11", false, Way::Ready),
            (StartMode::Clone, "provided.al2023", true, Way::Copies),
            (StartMode::Clone, "provided.al2023", false, Way::Ready),
            (StartMode::Ready, "python3.11", true, Way::Ready),
            (StartMode::Cold, "python3.11", true, Way::Nothing),
            (StartMode::Warm, "python3.11", true, Way::Kept),
        ] {
            let mut spec = FunctionSpec::new(FunctionArn::of("f"), runtime, "a.b", CodeId(String::new()));
            spec.start = mode;
            let templates = if possible { Ok(()) } else { Err("no ptrace") };
            let (way, reason) = way(&spec, templates);
            assert_eq!(way, expected, "{mode} {runtime} {possible}");
            assert_eq!(reason.is_none(), way == Way::Copies, "{reason:?}");
        }
    }

    #[test]
    fn what_lacks_is_made() {
        use Stage::{Absent, Captured, Refused, Starting};
        use Way::{Copies, Kept, Nothing, Ready};
        let facts = |way, stage, held, making, asking, target| Facts {
            way,
            stage,
            held,
            making,
            asking,
            target,
            resting: false,
        };
        for (facts, expected) in [
            (facts(Copies, Absent, 0, 0, 0, 2), Step::Template),
            (facts(Copies, Absent, 0, 0, 0, 0), Step::Nothing),
            (facts(Copies, Starting, 0, 0, 600, 2), Step::Nothing),
            (facts(Copies, Captured, 0, 0, 600, 2), Step::Copies(602)),
            (facts(Copies, Captured, 1, 1, 0, 2), Step::Nothing),
            (facts(Copies, Captured, 2, 0, 0, 3), Step::Copies(1)),
            (facts(Copies, Captured, 5, 0, 0, 3), Step::Nothing),
            (facts(Copies, Refused, 0, 0, 5, 2), Step::Starts(2)),
            (facts(Ready, Absent, 0, 1, 5, 2), Step::Starts(1)),
            (facts(Kept, Absent, 0, 0, 5, 0), Step::Nothing),
            (facts(Kept, Absent, 0, 0, 5, 3), Step::Starts(3)),
            (facts(Nothing, Absent, 0, 0, 5, 3), Step::Nothing),
        ] {
            assert_eq!(step(&facts), expected, "{facts:?}");
            assert_eq!(step(&Facts { resting: true, ..facts }), Step::Nothing);
        }
    }
}
